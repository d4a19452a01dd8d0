//! Threads and the interpreter: which of them it knows, and for how long.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

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
}

/// Whether the interpreter does not know this thread yet, and may be about to.
pub(crate) fn is_new_here() -> bool {
    IS_USED.load(Ordering::Acquire) && !IS_SETTLED.get()
}

/// Runs the rest of a thread's life. What Python keeps for a thread is made now and lasts until `rest` returns, instead of from one call to its
/// end; its lock is not held meanwhile.
pub(crate) fn settle(rest: impl FnOnce() + Send) {
    IS_SETTLED.set(true);
    let mut rest = Some(rest);
    let run = |py: Python<'_>| {
        // A debugger, or a log of Python's, shall call it as everybody else does. If it cannot be named, it has a name of Python's.
        let _ = name(py);
        if let Some(rest) = rest.take() {
            py.detach(rest);
        }
    };
    // An interpreter that is about to end takes no new threads, and whatever is left to do can do without.
    if Python::try_attach(run).is_none()
        && let Some(rest) = rest
    {
        rest();
    }
}

fn name(py: Python<'_>) -> PyResult<()> {
    let thread = std::thread::current();
    py.import("threading")?.call_method0("current_thread")?.setattr("name", thread.name())
}
