//! Attaching threads to the interpreter.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::log;
use crate::pool::ThreadHook;
use crate::python::error::describe;

/// Whether this process uses Python.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread is attached for the rest of its life.
    static IS_SETTLED: Cell<bool> = const { Cell::new(false) };
}

/// Starts the interpreter if it is not running. Installs no signal handlers.
pub(super) fn start() {
    Python::initialize();
    IS_USED.store(true, Ordering::Release);
    ThreadHook { is_due: || !IS_SETTLED.get(), around: settle }.set();
}

/// Runs the rest of a thread's life in `rest`. Python's thread state is created now and lasts until `rest` returns,
/// instead of for one call; the interpreter's lock is not held meanwhile.
fn settle(rest: &mut (dyn FnMut() + Send)) {
    IS_SETTLED.set(true);
    let run = |py: Python<'_>| {
        // For Python's debuggers and logs. If it fails, the thread keeps the name that Python gave it.
        let _ = name(py);
        py.detach(&mut *rest);
    };
    // An interpreter that is finalizing attaches no threads: run the rest without it.
    if Python::try_attach(run).is_none() {
        rest();
    }
}

/// Whether this thread keeps its thread state from one job to the next.
pub(super) fn is_settled() -> bool {
    IS_SETTLED.get()
}

/// Ends Python's part of a program: runs the `atexit` handlers, and flushes `sys.stdout` and `sys.stderr`. Call it at
/// the end of `main`, after the server and its pools have ended. Returns whether it succeeded in this time.
///
/// The interpreter is not finalized: threads that still run Python end with the process.
///
/// # Threads
///
/// Blocks; the handlers run on a thread of their own, which is left behind if they take too long.
pub fn finish(within: Duration) -> bool {
    if !IS_USED.load(Ordering::Acquire) {
        return true;
    }
    let (done, is_done) = mpsc::channel();
    let ending = thread::Builder::new().name("python-exit".to_owned()).spawn(move || {
        let ended = Python::try_attach(|py| {
            let ended = end(py);
            ended.map_err(|error| log::error!(error = describe(py, &error), "Python does not end as it should"))
        });
        // The receiver may have timed out.
        let _ = done.send(ended);
    });
    ending.is_ok() && matches!(is_done.recv_timeout(within), Ok(Some(Ok(()))))
}

fn end(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?.call_method0("_run_exitfuncs")?;
    let sys = py.import("sys")?;
    for stream in ["stdout", "stderr"] {
        let stream = sys.getattr(stream)?;
        // Without a terminal a stream may be `None`.
        if !stream.is_none() {
            stream.call_method0("flush")?;
        }
    }
    Ok(())
}

fn name(py: Python<'_>) -> PyResult<()> {
    let thread = thread::current();
    py.import("threading")?.call_method0("current_thread")?.setattr("name", thread.name())
}
