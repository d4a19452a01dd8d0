//! Children that an application forks, such as those of `multiprocessing`.
//!
//! Threads: the program's; `count` and `end`: pool.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

/// How many forks are between the first process with the interpreter and this one, as far as Python knows of them.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Differs before and after a call in the child that the call has forked.
pub(super) fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts the forks from now on.
pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
    static HOOK: PyOnceLock<()> = PyOnceLock::new();
    HOOK.get_or_try_init(py, || {
        let add = |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| _ = FORKS.fetch_add(1, Ordering::Relaxed);
        let os = py.import("os")?;
        // Only systems that fork have it.
        if let Some(register) = os.getattr_opt("register_at_fork")? {
            let hook = PyDict::new(py);
            hook.set_item("after_in_child", PyCFunction::new_closure(py, None, None, add)?)?;
            register.call((), Some(&hook))?;
        }
        Ok(())
    })
    .copied()
}

/// Ends the process with the exit code that `python3` has at the end of a program: 0, or that of `SystemExit`, or 1
/// with a traceback. The handlers of `atexit` do not run: they are the parent's.
///
/// The function is in Python because the process has no other thread: at the fork, one may have held a lock of the
/// program's log or of Rust's stderr. CPython renews its own locks in a child, and `os.write` takes none.
const END: &std::ffi::CStr = c"
import os, sys, traceback

def end(error):
    status = 1
    try:
        if error is None:
            status = 0
        elif not isinstance(error, SystemExit):
            traceback.print_exception(type(error), error, error.__traceback__)
        elif error.code is None or isinstance(error.code, int):
            status = (error.code or 0) & 0xff
        else:
            print(error.code, file=sys.stderr)
        if not isinstance(error, SystemExit):
            os.write(2, b'gateway: a process that an application had forked came back from the call and was ended; '
                        b'end such a process with os._exit()\\n')
        for stream in sys.stdout, sys.stderr:
            if stream is not None:
                stream.flush()
    finally:
        os._exit(status)
";

/// Ends this process, a child that an application has forked in a call that has returned or raised. It would go on as a
/// second server, with the parent's sockets, and without the threads that serve and that wait for signals.
pub(super) fn end(py: Python<'_>, error: Option<PyErr>) -> ! {
    let names = PyDict::new(py);
    // It does not return. If it cannot be called, there is still no way back.
    let _ = py.run(END, Some(&names), None).and_then(|()| names.as_any().get_item("end")?.call1((error,)));
    std::process::abort()
}

/// Runs in each child. A request's thread is a dummy thread to `threading`, as are all that Python did not start. In
/// the child it is the main thread, and CPython before 3.13 lets a dummy thread fail an assertion in
/// `threading._shutdown`, which `multiprocessing` calls: each child would exit with code 1. Newer versions turn the
/// dummy thread into a main thread themselves, with the same steps.
///
/// `threading` is imported, so that its own hook for children runs before this one.
const MEND: &std::ffi::CStr = c"
import os, threading

def make_main_thread():
    thread = threading.main_thread()
    if isinstance(thread, threading._DummyThread):
        thread.__class__ = threading._MainThread
        thread._name = 'MainThread'
        thread._daemonic = False
        thread._set_tstate_lock()

if hasattr(os, 'register_at_fork') and hasattr(threading.Thread, '_set_tstate_lock'):
    os.register_at_fork(after_in_child=make_main_thread)
";

/// Mends the children of this process.
pub(super) fn mend(py: Python<'_>) -> PyResult<()> {
    let names = PyDict::new(py);
    py.run(MEND, Some(&names), None)
}
