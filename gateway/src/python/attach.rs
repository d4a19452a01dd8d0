//! Attaching threads to the interpreter.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::pool::ThreadHook;
use crate::python::lock;

/// Whether this process uses Python.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread is attached for the rest of its life.
    static IS_SETTLED: Cell<bool> = const { Cell::new(false) };
}

/// From now on, threads of pools are attached: a worker before its next job from the queue, a driver once no request
/// runs Python. There is an interpreter.
pub(super) fn start() {
    IS_USED.store(true, Ordering::Release);
    ThreadHook { is_due: || !IS_SETTLED.get(), is_free: lock::is_free, around: settle }.set();
}

/// Whether this process has used Python.
pub(super) fn is_used() -> bool {
    IS_USED.load(Ordering::Acquire)
}

/// Runs the rest of a thread's life in `rest`. Python's thread state is created now and lasts until `rest` returns,
/// instead of for one call; the interpreter's lock is not held meanwhile.
fn settle(rest: &mut (dyn FnMut() + Send)) {
    IS_SETTLED.set(true);
    let run = |py: Python<'_>| {
        introduce(py);
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

/// Describes this thread to `threading`: its name, for debuggers and logs, and that it is no daemon. Unless Python has
/// started it, or knows it as its main thread, it is a dummy thread, which is a daemon, and the threads that an
/// application starts inherit that: they would be cut off at the end of the process. A dummy thread itself is never
/// joined.
pub(super) fn introduce(py: Python<'_>) {
    let set = || -> PyResult<()> {
        let threading = py.import("threading")?;
        let thread = threading.call_method0("current_thread")?;
        if !thread.is_instance(&threading.getattr("_DummyThread")?)? {
            return Ok(());
        }
        // The property refuses a change once a thread has started.
        thread.setattr("_daemonic", false)?;
        match std::thread::current().name() {
            Some(name) => thread.setattr("name", name),
            None => Ok(()),
        }
    };
    // If it fails, the thread stays as Python describes it.
    let _ = set();
}
