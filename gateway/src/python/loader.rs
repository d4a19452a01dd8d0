//! Loading an application by its name.
//!
//! Threads: the program's; blocks.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::python::signals::Handlers;
use crate::python::{Callable, LoadError, attach, interpreter, monkey_patch};

/// Finds a WSGI application by its name, `module:attribute`.
///
/// The module may be in a package (`shop.wsgi`), the attribute may be nested (`site.app`), and with brackets it is a
/// factory that is called without arguments: `shop:create_app()`.
///
/// Modules are searched in the [paths](Loader::path) in the order given, then in the interpreter's own path, which has
/// the packages of the [virtual environment](Loader::virtual_env).
///
/// # Example
///
/// ```no_run
/// use gateway::python::Loader;
///
/// let shop = Loader::new().path("src").virtual_env(".venv").load("shop:create_app()")?;
/// # drop(shop);
/// # Ok::<(), gateway::python::LoadError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Loader {
    paths: Vec<PathBuf>,
    virtual_env: Option<PathBuf>,
}

impl Loader {
    /// Searches the interpreter's path alone. If this loader starts the interpreter, it does so in the virtual
    /// environment that `VIRTUAL_ENV` names, if set.
    pub fn new() -> Self {
        Self::default()
    }
}

setters! {
    impl Loader;

    /// Also searches this folder for modules, after the folders given earlier and before all others.
    pub fn path(mut self, folder: impl Into<PathBuf>) { self.paths.push(folder.into()) }

    /// Starts the interpreter in this virtual environment, instead of the one in `VIRTUAL_ENV`; see
    /// [`Interpreter::virtual_env`](crate::python::Interpreter::virtual_env).
    ///
    /// An interpreter that runs already, started by an earlier loader perhaps, gets the packages of this environment,
    /// too, before those of earlier ones; `sys.prefix` and `sys.executable` stay those of the first environment. A
    /// module that both have is imported once for all applications.
    pub fn virtual_env(mut self, folder: impl Into<PathBuf>) { self.virtual_env = Some(folder.into()) }
}

impl Loader {
    /// Imports the module and gets the application from it. Starts the interpreter if it is not running.
    ///
    /// # Errors
    ///
    /// [`LoadError`] for an invalid name, a missing module or attribute, an object that is not callable, an invalid
    /// virtual environment, and any exception, with its traceback. Also for an application that patches the
    /// interpreter's threads, as `gevent.monkey.patch_all()` does: the locks of an event loop would block the pool's
    /// threads for good.
    ///
    /// # Threads
    ///
    /// Runs the module on the calling thread: do not call it on a thread of a runtime that serves already.
    pub fn load(&self, name: &str) -> Result<Callable, LoadError> {
        let (module, attribute) = split(name)?;
        match &self.virtual_env {
            Some(folder) => interpreter::start_in(folder)?,
            None => interpreter::start()?,
        }
        Python::attach(|py| {
            attach::introduce(py);
            self.add_paths(py).map_err(LoadError::raised(py, "the search path cannot be set"))?;
            let handlers =
                Handlers::save(py).map_err(LoadError::raised(py, "the handlers of signals cannot be read"))?;
            monkey_patch::note(py, None)
                .map_err(LoadError::raised(py, format_args!("{name:?}: was there a monkey patch before?")))?;
            let application = find(py, module, &attribute, name);
            handlers.restore(py, name);
            if application.is_err() {
                // For the error of an application that is loaded later. This one has an error already.
                let _ = monkey_patch::note(py, Some(name));
            }
            application
        })
    }

    /// Inserts the folders at the front, in the order given.
    fn add_paths(&self, py: Python<'_>) -> PyResult<()> {
        let search_path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
        for (place, folder) in self.paths.iter().enumerate() {
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            if !search_path.get_item(place).is_ok_and(|entry| entry.eq(folder.as_os_str()).unwrap_or(false)) {
                search_path.insert(place, folder.as_os_str())?;
            }
        }
        Ok(())
    }
}

/// Imports the module and finds the application in it.
fn find(py: Python<'_>, module: &str, attribute: &Attribute<'_>, name: &str) -> Result<Callable, LoadError> {
    let imported = py.import(module).map_err(LoadError::raised(py, format_args!("cannot import {module:?}")))?;
    let found = attribute.find(imported.into_any(), name)?;
    monkey_patch::check(py, name)?;
    Callable::new(&found)
        .map(|callable| callable.named(name))
        .map_err(LoadError::raised(py, format_args!("{name:?} is no application")))
}

/// The part of a name after the colon.
struct Attribute<'n> {
    path: &'n str,
    /// It returns the application when called.
    is_factory: bool,
}

fn split(name: &str) -> Result<(&str, Attribute<'_>), LoadError> {
    let wrong = || {
        LoadError::new(format!(
            "{name:?} names no application; write module:attribute, such as \"shop.wsgi:application\", or module:factory()"
        ))
    };
    let (module, attribute) = name.split_once(':').ok_or_else(wrong)?;
    let (path, is_factory) = match attribute.strip_suffix("()") {
        Some(path) => (path, true),
        None => (attribute, false),
    };
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c == '_' || c.is_alphanumeric());
    if !module.split('.').chain(path.split('.')).all(is_name) {
        return Err(wrong());
    }
    Ok((module, Attribute { path, is_factory }))
}

impl Attribute<'_> {
    fn find<'py>(&self, module: Bound<'py, PyAny>, name: &str) -> Result<Bound<'py, PyAny>, LoadError> {
        let py = module.py();
        let mut object = module;
        for part in self.path.split('.') {
            object = object.getattr(part).map_err(LoadError::raised(py, format_args!("{name:?} is not there")))?;
        }
        if !self.is_factory {
            return Ok(object);
        }
        object.call0().map_err(LoadError::raised(py, format_args!("{name:?} makes no application")))
    }
}
