//! The refusal of applications that replace the interpreter's threads.
//!
//! Threads: the program's.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::python::LoadError;

/// A library whose monkey patch makes locks and threads of its event loop out of those of the interpreter.
struct Patcher {
    name: &'static str,
    /// The module with the functions below.
    module: &'static str,
    /// Whether a module of the standard library is patched.
    asks: &'static str,
    patches: &'static str,
}

const PATCHERS: [Patcher; 2] = [
    Patcher { name: "gevent", module: "gevent.monkey", asks: "is_module_patched", patches: "patch_all" },
    Patcher { name: "eventlet", module: "eventlet.patcher", asks: "is_monkey_patched", patches: "monkey_patch" },
];

/// The names by which the patchers know the modules of threads.
const THREADS: [&str; 3] = ["threading", "_thread", "thread"];

/// Checks that loading the application `name` has not patched the interpreter's threads.
///
/// A patched lock that is taken makes its thread wait in the event loop of that thread, which another thread cannot
/// wake: the lock's thread, one of the pool's, may be lost for good. A patch in a later import is not seen.
///
/// # Errors
///
/// The name of the library, and what to do.
pub(super) fn check(py: Python<'_>, name: &str) -> Result<(), LoadError> {
    let patched = || {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
        for patcher in PATCHERS {
            // An application that does not import the library has not patched.
            let Some(module) = modules.get_item(patcher.module)? else { continue };
            for threads in THREADS {
                if module.call_method1(patcher.asks, (threads,))?.is_truthy()? {
                    return Ok(Some(patcher));
                }
            }
        }
        Ok::<_, PyErr>(None)
    };
    let patched = patched().map_err(LoadError::raised(py, format_args!("{name:?}: is there a monkey patch?")))?;
    patched.map_or(Ok(()), |Patcher { name: library, patches, .. }| {
        Err(LoadError::new(format!(
            "{name:?} replaces the interpreter's threads by those of {library}, whose locks would block the threads of \
             this program for good; remove the call of {library}'s {patches}(), or serve the application with a server \
             for {library}"
        )))
    })
}
