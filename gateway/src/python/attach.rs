//! Threads and the interpreter: which of them it knows, and for how long.
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

/// Whether there is any use for Python in this process.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The interpreter knows this thread for the rest of its life.
    static IS_SETTLED: Cell<bool> = const { Cell::new(false) };
}

/// Starts the interpreter if nobody has. Signals stay with the program.
pub(super) fn start() {
    Python::initialize();
    IS_USED.store(true, Ordering::Release);
    ThreadHook { is_due: || !IS_SETTLED.get(), around: settle }.set();
}

/// Runs the rest of a thread's life. What Python keeps for a thread is made now and lasts until `rest` returns, instead
/// of from one call to its end; its lock is not held meanwhile.
fn settle(rest: &mut (dyn FnMut() + Send)) {
    IS_SETTLED.set(true);
    let run = |py: Python<'_>| {
        // A debugger, or a log of Python's, shall call it as everybody else does. If it cannot be named, it has a name
        // of Python's.
        let _ = name(py);
        py.detach(&mut *rest);
    };
    // An interpreter that is about to end takes no new threads, and whatever is left to do can do without.
    if Python::try_attach(run).is_none() {
        rest();
    }
}

/// Ends Python's part of a program: runs what was registered with `atexit`, and flushes `sys.stdout` and `sys.stderr`.
/// For the end of `main`, after the server and its pools have ended. Says whether that was done within this time.
///
/// The interpreter itself is not torn down: threads that are still at work stay where they are, and end with the
/// process.
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
        // Nobody may wait any more.
        let _ = done.send(ended);
    });
    ending.is_ok() && matches!(is_done.recv_timeout(within), Ok(Some(Ok(()))))
}

fn end(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?.call_method0("_run_exitfuncs")?;
    let sys = py.import("sys")?;
    for stream in ["stdout", "stderr"] {
        let stream = sys.getattr(stream)?;
        // A program without a terminal may have none.
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
