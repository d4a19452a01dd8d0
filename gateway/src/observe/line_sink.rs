//! A log of lines.
//!
//! Threads: any; blocks if the writer blocks.

use std::io;

use crate::log;
use crate::log_text::write_escaped;
use crate::sync::{Arc, Mutex, lock};

/// A mount's own log of lines, used instead of `tracing`.
#[derive(Clone)]
pub(crate) struct LineSink {
    writer: Arc<Mutex<Box<dyn io::Write + Send>>>,
}

impl LineSink {
    pub(crate) fn new(writer: impl io::Write + Send + 'static) -> Self {
        Self { writer: Arc::new(Mutex::new(Box::new(writer))) }
    }

    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let mut line = String::with_capacity(text.len() + 1);
        // Writing to a string cannot fail.
        let _ = text.chars().try_for_each(|character| write_escaped(&mut line, character));
        line.push('\n');
        self.call(|writer| writer.write_all(line.as_bytes()))
    }

    /// Calls the writer. A panic of the writer becomes an error of the log; the application goes on.
    pub(crate) fn call(&self, call: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
        let called = log::contain(|| call(&mut **lock(&self.writer)));
        called.unwrap_or_else(|| Err(io::Error::other("the log of the mount panicked")))
    }
}

partial_debug!(LineSink);
