//! The log of the examples: it never blocks the program, and a failure of the log does not stop the program.
//!
//! A record begins in the first column. Its further lines, such as those of a traceback, are indented, so that no text
//! of a client or an application can pass for a record of its own. Only a terminal gets colours, and none if `NO_COLOR`
//! is set (<https://no-color.org>).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The maximum number of queued lines. Further lines are lost; their requests are not.
const LINES: usize = 4096;

/// How long a program that ends waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The log is written while this guard exists.
#[must_use = "the log ends with it"]
pub(crate) struct Log {
    worker: Option<WorkerGuard>,
}

impl Log {
    /// Writes the events of `RUST_LOG`, or else of `default`.
    ///
    /// Three settings keep the log from stopping the server. A separate thread writes, so that a full pipe blocks only
    /// that thread, and no runtime thread, which also receives the signals. The number of queued lines is bounded. And
    /// the subscriber does not report a failed write on stderr: if stderr cannot be written either, `eprintln!` panics.
    pub(crate) fn start(default: &str, writer: impl Write + IsTerminal + Send + 'static) -> Self {
        let has_colors = writer.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
        let (writer, worker) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(writer);
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(writer)
            .with_ansi(has_colors)
            .fmt_fields(Fields)
            .log_internal_errors(false)
            .init();
        std::panic::set_hook(Box::new(report));
        Self { worker: Some(worker) }
    }
}

/// Panics go to the log, too. Rust's own hook writes to stderr, on the panicking thread, and would block on a full
/// pipe.
fn report(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => tracing::error!("{panic}\n{backtrace}"),
        _ => tracing::error!("{panic}"),
    }
}

/// Lets the log's thread write the queued lines. The guard is dropped on another thread, because the drop can block for
/// ever if the pipe is full.
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

/// The fields of events and spans. The default would write a text of several lines as one, with escapes.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = FieldWriter { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

/// Whether a character ends a line, or changes its direction, in some viewers: a text could look like another line.
fn is_layout(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct FieldWriter<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl FieldWriter<'_> {
    fn field(&mut self, field: &Field, text: &str) -> fmt::Result {
        let separator = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let text = text.trim_end();
        if field.name() == "message" {
            self.writer.write_str(separator)?;
        } else {
            write!(self.writer, "{separator}{}=", field.name())?;
            if text.contains('\n') {
                self.writer.write_str("\n    ")?;
            }
        }
        for (number, line) in text.lines().enumerate() {
            if number > 0 {
                self.writer.write_str(if line.is_empty() { "\n" } else { "\n    " })?;
            }
            line.chars().try_for_each(|character| match character {
                // Escape sequences would control the terminal of an operator who reads the log.
                '\t' => self.writer.write_char(character),
                _ if character.is_control() || is_layout(character) => {
                    write!(self.writer, "{}", character.escape_default())
                }
                _ => self.writer.write_char(character),
            })?;
        }
        Ok(())
    }
}

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() == "message" || value.contains('\n') {
            true => self.record_debug(field, &format_args!("{value}")),
            false => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The fields that `tracing-log` adds to the records of the `log` facade are in the record already.
        if self.result.is_ok() && !field.name().starts_with("log.") {
            self.result = self.field(field, &format!("{value:?}"));
        }
    }
}
