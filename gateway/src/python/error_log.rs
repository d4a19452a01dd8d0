//! `wsgi.errors`.
//!
//! Threads: any that Python uses; blocks.

use std::io::Write as _;
use std::mem;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::Environ;
use crate::environ::id::RequestId;
use crate::observe::line_sink::LineSink;
use crate::python::log_level;
use crate::python::request::{self, RequestHandle};
use crate::python::text;
use crate::sync::{Mutex, lock};

/// A line that is longer becomes several events, which bounds the memory.
const LINE_LIMIT: usize = 64 * 1024;

/// Text for the operator's log. Works on any thread, also after the end of the request.
///
/// Most requests write nothing, so the request's log is created at the first write.
#[pyclass(frozen, module = "gateway")]
#[derive(Default)]
pub(super) struct ErrorLog {
    request: Mutex<Option<Request>>,
    /// A line without its end: `print` writes each argument and the end of the line separately.
    line: Mutex<String>,
}

/// The request of a log.
#[derive(Clone)]
struct Request {
    handle: RequestHandle,
    id: RequestId,
    sink: Option<LineSink>,
    /// The request's own log, once it was used.
    log: Option<crate::ErrorLog>,
}

impl ErrorLog {
    /// Takes the text of a request.
    pub(super) fn begin(&self, handle: RequestHandle, environ: &Environ) {
        let request = Request { handle, id: environ.id().clone(), sink: environ.error_sink(), log: None };
        *lock(&self.request) = Some(request);
    }

    /// Writes what is left, and forgets the request.
    pub(super) fn end(&self, py: Python<'_>) {
        // There is no caller left for an error of the log.
        let _ = self.finish_line(py);
        let request = lock(&self.request).take();
        drop(request);
    }

    /// The request's own log; on another thread, or later, a log with the request id only, unless the request's own has
    /// been created before. `None` without a request.
    fn log(&self) -> Option<crate::ErrorLog> {
        // Not under the lock: the program's subscriber is called.
        let request = lock(&self.request).clone()?;
        if request.log.is_some() {
            return request.log;
        }
        match request.handle.errors() {
            Ok(log) => {
                let of_request = Request { log: Some(log.clone()), ..request };
                let before = lock(&self.request).replace(of_request);
                drop(before);
                Some(log)
            }
            Err(_) => Some(crate::ErrorLog::of(&request.id, request.sink)),
        }
    }

    /// Writes the lines that are complete with this text, as one event.
    fn add(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let lines = {
            let mut line = lock(&self.line);
            line.push_str(text);
            let is_long = line.len() > LINE_LIMIT;
            let end = if is_long { line.len() } else { line.rfind('\n').map_or(0, |at| at + 1) };
            let rest = line.split_off(end);
            mem::replace(&mut *line, rest)
        };
        self.event(py, &lines)
    }

    /// Writes the line without its end.
    fn finish_line(&self, py: Python<'_>) -> PyResult<()> {
        let line = mem::take(&mut *lock(&self.line));
        self.event(py, &line)
    }

    /// Writes one event, detached from the interpreter: the log may block.
    fn event(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        // An empty line, as `print()` writes it, says nothing in a log.
        if text.trim_end_matches(['\r', '\n']).is_empty() {
            return Ok(());
        }
        Ok(request::detach(py, || match self.log() {
            Some(log) => log.event_at(log_level::stated(text), text),
            None => Ok(()),
        })?)
    }
}

impl Drop for ErrorLog {
    fn drop(&mut self) {
        // There is no caller left for an error of the log.
        let _ = Python::try_attach(|py| self.finish_line(py));
    }
}

fn native(object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(text::of(text)),
        Err(_) => Err(PyTypeError::new_err(format!("wsgi.errors takes str, not {}", text::quoted(object)))),
    }
}

#[pymethods]
impl ErrorLog {
    /// `write(text, /) -> int`
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.add(py, &native(data)?)?;
        data.len()
    }

    /// `writelines(lines, /)`
    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        let lines = lines.try_iter()?.map(|line| native(&line?)).collect::<PyResult<String>>()?;
        self.add(py, &lines)
    }

    /// `flush()`
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.finish_line(py)?;
        Ok(request::detach(py, || self.log().map_or(Ok(()), |mut log| log.flush()))?)
    }
}
