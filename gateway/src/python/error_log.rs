//! `wsgi.errors`.
//!
//! Threads: any that Python uses; blocks.

use std::io::Write as _;
use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::Environ;
use crate::environ::id::RequestId;
use crate::observe::line_sink::LineSink;
use crate::python::request::RequestHandle;

/// Text for the operator's log. Works on any thread, also after the end of the request.
///
/// Most requests write nothing, so the request's log is created at the first write.
#[pyclass(frozen, module = "gateway")]
pub(super) struct ErrorLog {
    request: RequestHandle,
    id: RequestId,
    sink: Option<LineSink>,
    log: OnceLock<crate::ErrorLog>,
}

impl ErrorLog {
    pub(super) fn new(request: RequestHandle, environ: &Environ) -> Self {
        Self { request, id: environ.id().clone(), sink: environ.error_sink(), log: OnceLock::new() }
    }

    /// The request's own log; on another thread, or later, a log with the request id only.
    fn log(&self) -> &crate::ErrorLog {
        self.log.get_or_init(|| {
            let of_request = self.request.errors();
            of_request.unwrap_or_else(|_| crate::ErrorLog::of(&self.id, self.sink.clone()))
        })
    }

    /// Writes one event, detached from the interpreter: the log may block.
    fn event(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        Ok(py.detach(|| write!(self.log().clone(), "{text}"))?)
    }
}

fn text(object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.cast::<PyString>() {
        // Surrogates are replaced: they stand for bytes that are not text.
        Ok(text) => Ok(text.to_string_lossy().into_owned()),
        Err(_) => Err(PyTypeError::new_err(format!("wsgi.errors takes str, not {object:?}"))),
    }
}

#[pymethods]
impl ErrorLog {
    /// `write(text, /) -> int`
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.event(py, &text(data)?)?;
        data.len()
    }

    /// `writelines(lines, /)`: one event.
    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        let lines = lines.try_iter()?.map(|line| text(&line?)).collect::<PyResult<String>>()?;
        self.event(py, &lines)
    }

    /// `flush()`
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.log().clone().flush())?)
    }
}
