//! The log of the examples: one that the program never waits for, and that may be lost without losing the program.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How many lines wait for whoever reads the log. Further ones are lost, and the requests that they are about are not.
const LINES: usize = 4096;

/// How long a program that ends waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// While it is there, the log is written.
#[must_use = "the log ends with it"]
pub(crate) struct Log {
    worker: Option<WorkerGuard>,
}

impl Log {
    /// Writes what `RUST_LOG` asks for, or else `default`.
    ///
    /// Three things keep the log from stopping the server. A thread of its own writes, so that a pipe that nobody reads holds up that thread
    /// alone, and not the one that hears of signals. What waits for it is bounded. And a line that cannot be written is not complained about:
    /// the complaint would go to stderr, which is most likely full as well, and a complaint that fails is a panic.
    pub(crate) fn start(default: &str, writer: impl Write + Send + 'static) -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
        let (writer, worker) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(writer);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false).init();
        Self { worker: Some(worker) }
    }
}

/// Lets the thread write what it has. On a thread of its own, as that waits for ever where nobody reads.
impl Drop for Log {
    fn drop(&mut self) {
        let worker = self.worker.take();
        let (sender, done) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            drop(worker);
            drop(sender);
        });
        let _ = done.recv_timeout(LAST_LINES);
    }
}
