//! `wsgi.errors`.

use std::io::Write as _;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Text for the operator. Works from any thread, also after the request has ended.
#[pyclass(frozen, module = "gateway")]
pub(super) struct ErrorLog {
    log: crate::ErrorLog,
}

impl ErrorLog {
    pub(super) fn new(log: crate::ErrorLog) -> Self {
        Self { log }
    }

    /// One event, written without holding the interpreter: the log may be a slow one.
    fn event(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Ok(text) = text.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!("wsgi.errors takes str, not {text:?}")));
        };
        let length = text.len()?;
        let text = text.to_string_lossy().into_owned();
        py.detach(|| write!(self.log.clone(), "{text}"))?;
        Ok(length)
    }
}

#[pymethods]
impl ErrorLog {
    /// `write(text, /) -> int`
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.event(py, text)
    }

    /// `writelines(lines, /)`
    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.event(py, &line?)?;
        }
        Ok(())
    }

    /// `flush()`
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.log.clone().flush())?)
    }
}
