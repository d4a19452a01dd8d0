//! `wsgi.input`.
//!
//! Threads: any that Python uses; blocks.

use std::mem;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice, PyTuple};

use crate::python::error::to_python;
use crate::python::request;
use crate::sync::{Mutex, lock};
use crate::{Error, Input as Body};

pyo3::import_exception!(io, UnsupportedOperation);

/// The request body as a file. Any thread may read it. After the end of its request, reading what has not arrived
/// raises.
///
/// Beside the methods of PEP 3333 it has those that `io.TextIOWrapper` and `io.BufferedReader` call, and the rest of
/// `io.BufferedIOBase`. The body cannot be read twice, so it is not seekable, and the methods that need another kind of
/// file raise `io.UnsupportedOperation`, as Python's own do.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Input {
    body: Mutex<Body>,
}

impl Default for Input {
    fn default() -> Self {
        Self { body: Mutex::new(Body::empty()) }
    }
}

impl Input {
    /// Takes the body of a request.
    pub(super) fn begin(&self, body: Body) {
        *lock(&self.body) = body;
    }

    /// Drops the body.
    pub(super) fn end(&self) {
        let body = mem::replace(&mut *lock(&self.body), Body::empty());
        drop(body);
    }

    /// Detached from the interpreter: the read may block on the client, or on the lock while another thread reads.
    fn with<R, E>(&self, py: Python<'_>, read: impl FnOnce(&mut Body) -> Result<R, E> + Send) -> PyResult<R>
    where
        R: Send,
        E: Into<Error> + Send,
    {
        request::detach(py, || read(&mut lock(&self.body))).map_err(|error| to_python(error.into()))
    }
}

/// `None` and negative sizes mean no limit.
fn limit(size: Option<isize>) -> usize {
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

#[pymethods]
impl Input {
    /// `read(size=-1, /) -> bytes`
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = match limit(size) {
            usize::MAX => self.with(py, Body::read_bytes)?,
            size => self.with(py, |body| body.read_up_to(size))?.into(),
        };
        Ok(PyBytes::new(py, &bytes))
    }

    /// `read1(size=-1, /) -> bytes`: the available bytes, at most `size`, at least one before the end of the body. As
    /// in Python's `io`.
    #[pyo3(signature = (size=None, /))]
    fn read1<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = match limit(size) {
            0 => Bytes::new(),
            size => self.with(py, |body| body.chunks(size).next().transpose().map(Option::unwrap_or_default))?,
        };
        Ok(PyBytes::new(py, &bytes))
    }

    /// `readall() -> bytes`, which `io.BufferedReader` calls for the rest of the body.
    fn readall<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, None)
    }

    /// `readinto(buffer, /) -> int`: the available bytes, as `read1`. `io.BufferedReader` fills its buffer by it, and
    /// must not wait for more than one piece.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?;
        // Checked before the bytes are taken, which could not be put back.
        if view.getattr("readonly")?.is_truthy()? {
            let kind = buffer.get_type();
            return Err(PyTypeError::new_err(format!("readinto() takes a buffer that can be written, not {kind}")));
        }
        let view = view.call_method1("cast", ("B",))?;
        let bytes = self.read1(py, Some(isize::try_from(view.len()?)?))?;
        let length = bytes.as_bytes().len();
        view.set_item(PySlice::new(py, 0, isize::try_from(length)?, 1), bytes)?;
        Ok(length)
    }

    /// `readinto1(buffer, /) -> int`
    fn readinto1(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.readinto(py, buffer)
    }

    /// `readline(size=-1, /) -> bytes`
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let line = self.with(py, |body| body.readline_up_to(limit(size)))?;
        Ok(PyBytes::new(py, &line))
    }

    /// `readlines(hint=-1, /) -> list of bytes`
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let hint = hint.and_then(|hint| usize::try_from(hint).ok()).unwrap_or(0);
        let lines = self.with(py, |body| body.readlines(hint))?;
        PyList::new(py, lines.iter().map(|line| PyBytes::new(py, line)))
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    fn isatty(&self) -> bool {
        false
    }

    /// Has no effect, as there is nothing to write.
    fn flush(&self) {}

    /// Has no effect: the body belongs to its request. A wrapper closes its file when Python frees it, and the
    /// application may read on afterwards.
    fn close(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {}

    #[pyo3(signature = (*_arguments))]
    fn seek(&self, _arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported("seek", "is read once; copy it into io.BytesIO to read it again"))
    }

    fn tell(&self) -> PyResult<()> {
        Err(unsupported("tell", "has no position"))
    }

    #[pyo3(signature = (*_arguments))]
    fn truncate(&self, _arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported("truncate", "is only read"))
    }

    fn write(&self, _data: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(unsupported("write", "is only read"))
    }

    fn writelines(&self, _lines: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(unsupported("writelines", "is only read"))
    }

    fn fileno(&self) -> PyResult<()> {
        Err(unsupported("fileno", "has no file descriptor"))
    }

    fn detach(&self) -> PyResult<()> {
        Err(unsupported("detach", "has no raw file"))
    }
}

fn unsupported(method: &str, reason: &str) -> PyErr {
    UnsupportedOperation::new_err(format!("{method}: a request body {reason}"))
}
