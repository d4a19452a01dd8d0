//! A Python callable as an application.
//!
//! Threads: pool; blocks.

use pyo3::intern;
use pyo3::prelude::*;

use crate::python::chunks::ReturnValue;
use crate::python::objects::RequestObjects;
use crate::python::request::RunningRequest;
use crate::python::{attach, fork, lock, text};
use crate::{Application, Chunks, Environ, Result, StartResponse};

/// A WSGI application in Python. [`Loader`](crate::python::Loader) loads one by its name.
///
/// # Errors
///
/// If the application raises, the request fails with the exception and its traceback as text.
///
/// # Threads
///
/// See [the module](crate::python#threads). May be dropped on any thread; the interpreter frees it as soon as it can.
pub struct Callable {
    callable: Py<PyAny>,
    name: String,
    /// The context of the load; each request gets a copy, or an empty one if it is empty.
    context: Py<PyAny>,
    has_empty_context: bool,
}

impl Callable {
    /// Wraps an object that can be called with `environ` and `start_response`.
    ///
    /// # Errors
    ///
    /// `TypeError` if it cannot be called.
    pub fn new(callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        attach::start();
        let py = callable.py();
        fork::watch(py)?;
        if !callable.is_callable() {
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "{}, of type {}, cannot be called, so it is no WSGI application",
                text::quoted(callable),
                callable.get_type()
            )));
        }
        let context = py.import("contextvars")?.call_method0("copy_context")?;
        Ok(Self {
            name: String::from("python"),
            callable: callable.clone().unbind(),
            has_empty_context: context.len()? == 0,
            context: context.unbind(),
        })
    }

    pub(super) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The name it was loaded by.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Application for Callable {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        environ.settings().run_times.run_here_if(lock::may_run_here, lock::is_there());
        let body = environ.take_input();
        let environ: &'r Environ = environ;
        let request = RunningRequest::new(environ, start_response);
        let returned = request.enter(|py| {
            let mut objects = RequestObjects::take(py)?;
            let context = objects.context(self.context.bind(py), self.has_empty_context)?;
            let (dict, start_response) = objects.begin(py, environ, body, request.handle())?;
            match context.call_method1(intern!(py, "run"), (&self.callable, dict, start_response)) {
                Ok(object) => ReturnValue::new(object, context, objects),
                Err(error) => {
                    objects.end(context);
                    Err(error)
                }
            }
        })?;
        returned.into_chunks(request)
    }
}

partial_debug!(Callable, |this| name: this.name);
