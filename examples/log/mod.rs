//! The log of the examples: it never blocks the program, and a failure of the log does not stop the program.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

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
    pub(crate) fn start(default: &str, writer: impl Write + Send + 'static) -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
        let (writer, worker) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(writer);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false).init();
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
