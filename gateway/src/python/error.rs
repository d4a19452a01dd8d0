//! Conversions between Python exceptions and Rust errors.
//!
//! Threads: pool.

use std::fmt;
use std::io;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::types::{PyAnyMethods as _, PyTracebackMethods as _};
use pyo3::{PyErr, PyResult, Python};

use crate::python::text;
use crate::{ContractError, Error};

/// An application cannot be loaded. The message has its name and the reason; if Python raised an exception, its
/// traceback.
pub struct LoadError {
    message: String,
}

impl LoadError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Caused by an exception; for `map_err`.
    pub(super) fn raised(py: Python<'_>, what: impl fmt::Display) -> impl FnOnce(PyErr) -> Self {
        move |error| Self::new(format!("{what}: {}", describe(py, &error)))
    }
}

error_text!(LoadError, |error| "{}", error.message);

/// As `Display`: a program that returns it from `main` prints its `Debug` output.
impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An exception that the application raised, as text: no Python object outlives its request.
#[derive(Debug)]
pub(super) struct Raised {
    description: String,
}

impl Raised {
    pub(super) fn new(py: Python<'_>, error: &PyErr) -> Self {
        Self { description: describe(py, error) }
    }
}

error_text!(Raised, |error| "{}", error.description);

/// The exception with its traceback, as Python prints it. Formatting may raise, too.
pub(super) fn describe(py: Python<'_>, error: &PyErr) -> String {
    let formatted = py
        .import("traceback")
        .and_then(|module| {
            module.call_method1("format_exception", (error.get_type(py), error.value(py), error.traceback(py)))
        })
        .and_then(|lines| lines.try_iter()?.map(|line| Ok(text::of(line?.cast()?))).collect::<PyResult<String>>());
    let text = formatted.unwrap_or_else(|_| {
        let traceback = error.traceback(py).and_then(|traceback| traceback.format().ok()).unwrap_or_default();
        format!("{traceback}{}", error.get_type(py))
    });
    text.trim_end().to_owned()
}

/// A Rust error as a Python exception: `ValueError` for a broken contract, `OSError` for I/O with the client.
pub(super) fn to_python(error: Error) -> PyErr {
    if let Some(broken) = error.find::<ContractError>() {
        return PyValueError::new_err(broken.to_string());
    }
    let error: io::Error = error.into_io();
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut => error.into(),
        _ => PyOSError::new_err(error.to_string()),
    }
}
