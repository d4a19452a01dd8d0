//! The refusal of applications that replace the interpreter's threads.
//!
//! Threads: the program's.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::python::LoadError;
use crate::sync::{Mutex, lock};

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

/// A patch of the interpreter's threads. It cannot be undone.
#[derive(Debug, Clone)]
struct Patch {
    library: &'static str,
    patches: &'static str,
    /// The application that has patched when it was loaded. `None` if the patch is older.
    application: Option<String>,
}

/// No Python runs under its lock.
static PATCH: Mutex<Option<Patch>> = Mutex::new(None);

/// Notes a patch, if there is one by now, for later calls of [`check`]: it is due to this application.
pub(super) fn note(py: Python<'_>, application: Option<&str>) -> PyResult<()> {
    find(py, application).map(drop)
}

/// Checks that neither loading the application `name` nor anything before has patched the interpreter's threads.
///
/// A patched lock that is taken makes its thread wait in the event loop of that thread, which another thread cannot
/// wake: the lock's thread, one of the pool's, may be lost for good. A patch in a later import is not seen.
///
/// # Errors
///
/// The name of the library, who has called it, and what to do.
pub(super) fn check(py: Python<'_>, name: &str) -> Result<(), LoadError> {
    let patch =
        find(py, Some(name)).map_err(LoadError::raised(py, format_args!("{name:?}: is there a monkey patch?")))?;
    let Some(Patch { library, patches, application }) = patch else { return Ok(()) };
    let why = match &application {
        Some(application) if application == name => format!("{name:?} replaces the interpreter's threads"),
        Some(application) => format!(
            "{name:?} cannot be loaded, because {application:?}, whose load came before, has replaced the interpreter's \
             threads"
        ),
        None => format!(
            "{name:?} cannot be loaded, because something before it (the program, a `.pth` file, `sitecustomize`, or an \
             application in a request) has replaced the interpreter's threads"
        ),
    };
    Err(LoadError::new(format!(
        "{why} by those of {library}, whose locks would block the threads of this program for good; remove the call of \
         {library}'s {patches}(), or serve the application with a server for {library}"
    )))
}

/// The patch, if there is one. One that was not noted is due to `application`.
fn find(py: Python<'_>, application: Option<&str>) -> PyResult<Option<Patch>> {
    if let Some(patch) = &*lock(&PATCH) {
        return Ok(Some(patch.clone()));
    }
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    for Patcher { name: library, module, asks, patches } in PATCHERS {
        // An application that does not import the library has not patched.
        let Some(module) = modules.get_item(module)? else { continue };
        for threads in THREADS {
            if module.call_method1(asks, (threads,))?.is_truthy()? {
                let patch = Patch { library, patches, application: application.map(str::to_owned) };
                return Ok(Some(lock(&PATCH).get_or_insert(patch).clone()));
            }
        }
    }
    Ok(None)
}
