//! `wsgi.input`.
//!
//! Threads: any that Python uses; blocks.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::python::error::to_python;
use crate::python::request;
use crate::sync::{Mutex, lock};
use crate::{Error, Input as Body};

/// The request body as a file. Any thread may read it. After the end of its request, reading what has not arrived
/// raises.
#[pyclass(frozen, module = "gateway")]
pub(super) struct Input {
    body: Mutex<Body>,
}

impl Input {
    pub(super) fn new(body: Body) -> Self {
        Self { body: Mutex::new(body) }
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
}
