//! Children that an application forks, such as those of `multiprocessing`.
//!
//! Threads: the program's.

use pyo3::prelude::*;

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
    let names = pyo3::types::PyDict::new(py);
    py.run(MEND, Some(&names), None)
}
