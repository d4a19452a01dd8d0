//! Attaching threads to the interpreter.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

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

/// To Python a thread that it has not started is a dummy thread, which is a daemon, and so is what such a thread
/// starts: the threads of an application would be cut off at the end of the process. For itself, and so for what it
/// starts, a thread of this class is no daemon. For others it is one: they must not wait for it, and `join` of a dummy
/// thread fails.
const POOL_THREAD: &std::ffi::CStr = c"
import threading

class PoolThread(threading._DummyThread):
    daemon = threading.Thread.daemon.getter(lambda self: self.ident != threading.get_ident())
";

fn pool_thread(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let names = PyDict::new(py);
        py.run(POOL_THREAD, Some(&names), None)?;
        names.as_any().get_item("PoolThread").map(Bound::unbind)
    })?;
    Ok(class.bind(py))
}

/// Describes this thread to `threading`: its class, and its name, for debuggers and logs. Leaves a thread that Python
/// has started, or that it knows as its main thread, as it is.
pub(super) fn introduce(py: Python<'_>) {
    let set = || -> PyResult<()> {
        let threading = py.import("threading")?;
        let thread = threading.call_method0("current_thread")?;
        if !thread.is_instance(&threading.getattr("_DummyThread")?)? {
            return Ok(());
        }
        thread.setattr("__class__", pool_thread(py)?)?;
        match std::thread::current().name() {
            Some(name) => thread.setattr("name", name),
            None => Ok(()),
        }
    };
    // If it fails, the thread stays as Python describes it.
    let _ = set();
}
