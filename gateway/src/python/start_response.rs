//! `start_response`, and the `write` that it returns.
//!
//! Threads: pool; blocks.

use bytes::Bytes;
use pyo3::exceptions::{PyBaseException, PyRuntimeWarning, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence, PyString, PyTraceback, PyTuple};

use crate::python::error::to_python;
use crate::python::ffi;
use crate::python::request::{HandleCell, RequestHandle};
use crate::python::text;
use crate::response::head::ResponseHead;
use crate::{ContractError, Error};

/// The `start_response` of one request.
#[pyclass(frozen, module = "gateway")]
pub(super) struct StartResponse {
    /// Returned by each call. It has the request.
    write: Py<Write>,
}

impl StartResponse {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self { write: Py::new(py, Write::default())? })
    }

    pub(super) fn begin(&self, request: RequestHandle) {
        self.write.get().request.set(request);
    }

    /// Whether there are references to `write` beside this one.
    pub(super) fn is_write_kept(&self, py: Python<'_>) -> bool {
        ffi::references(self.write.bind(py)) > 1
    }
}

/// Stands for a Python exception while Rust decides whether to raise it.
#[derive(Debug)]
struct ExcInfo;

error_text!(ExcInfo, "the exception that start_response was given");

#[pymethods]
impl StartResponse {
    /// `start_response(status, response_headers, exc_info=None) -> write`. The keyword `headers` is accepted for the
    /// headers, too.
    #[pyo3(signature = (status, response_headers=None, exc_info=None, *, headers=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        status: &Bound<'py, PyAny>,
        response_headers: Option<&Bound<'py, PyAny>>,
        exc_info: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Py<Write>> {
        let headers =
            response_headers.or(headers).ok_or_else(|| PyTypeError::new_err("headers must be a list, not None"))?;
        let head = head(status, headers)?;
        let exception = exc_info.map(exception).transpose()?;
        let error = exception.as_ref().map(|_| Error::new(ExcInfo));
        match self.write.get().request.get().start(head, error)? {
            Ok(()) => Ok(self.write.clone_ref(py)),
            Err(error) => Err(match exception.filter(|_| error.find::<ExcInfo>().is_some()) {
                // The head was sent: raise the exception again, with its traceback.
                Some((value, traceback)) => {
                    let error = PyErr::from_value(value.into_any());
                    error.set_traceback(py, traceback);
                    error
                }
                None => to_python(error),
            }),
        }
    }
}

/// Checks the types, and parses the head. Other errors are left to `start`, because they count as a call.
fn head(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Result<ResponseHead, ContractError>> {
    let status = native(status, "the status")?;
    let pairs = pairs(headers)?;
    let mut fields = Vec::with_capacity(pairs.len());
    for [name, value] in &pairs {
        fields.push((native(name, "the name of a header")?, native(value, "the value of a header")?));
    }
    Ok(ResponseHead::parse(status, &fields))
}

/// The headers of a list, or with a warning, of any other sequence.
fn pairs<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<[Bound<'py, PyAny>; 2]>> {
    if let Ok(list) = headers.cast_exact::<PyList>() {
        return list.iter().map(|item| pair(&item)).collect();
    }
    let Ok(sequence) = headers.cast::<PySequence>() else { return Err(wrong_type("headers must be a list", headers)) };
    warn(headers.py(), &format!("headers should be a list, not of type {}", kind(headers)))?;
    sequence.try_iter()?.map(|item| pair(&item?)).collect()
}

/// The name and the value in a tuple, or, with a warning, in any other sequence of two.
fn pair<'py>(item: &Bound<'py, PyAny>) -> PyResult<[Bound<'py, PyAny>; 2]> {
    if let Ok(tuple) = item.cast::<PyTuple>()
        && let [name, value] = tuple.as_slice()
    {
        return Ok([name.clone(), value.clone()]);
    }
    let wrong =
        || PyTypeError::new_err(format!("a header must be a tuple of name and value, not {}", text::quoted(item)));
    if item.is_instance_of::<PyTuple>() || item.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    let Ok(sequence) = item.cast::<PySequence>() else { return Err(wrong()) };
    if sequence.len()? != 2 {
        return Err(wrong());
    }
    warn(item.py(), &format!("a header should be a tuple, not of type {}", kind(item)))?;
    Ok([sequence.get_item(0)?, sequence.get_item(1)?])
}

/// A native string: one character per byte.
fn native<'t>(text: &'t Bound<'_, PyAny>, what: &str) -> PyResult<&'t str> {
    let Ok(text) = text.cast::<PyString>() else { return Err(wrong_type(&format!("{what} must be a str"), text)) };
    // `to_str` fails for surrogates only.
    text.to_str()
        .map_err(|_| PyValueError::new_err(format!("{what} {} holds a character above U+00FF", text::quoted(text))))
}

fn wrong_type(rule: &str, object: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{rule}, not {}, of type {}", text::quoted(object), kind(object)))
}

fn kind(object: &Bound<'_, PyAny>) -> String {
    object.get_type().to_string()
}

fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    let category = py.get_type::<PyRuntimeWarning>();
    PyErr::warn(py, &category, &std::ffi::CString::new(message).unwrap_or_default(), 2)
}

/// The exception and the traceback in a result of `sys.exc_info`.
fn exception<'py>(
    exc_info: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyBaseException>, Option<Bound<'py, PyTraceback>>)> {
    let wrong = || {
        PyTypeError::new_err(format!(
            "exc_info must be the sys.exc_info() of an exception, not {}",
            text::quoted(exc_info)
        ))
    };
    let triple = exc_info.cast::<PyTuple>().map_err(|_| wrong())?;
    let [_, value, traceback] = triple.as_slice() else { return Err(wrong()) };
    let value = value.cast::<PyBaseException>().map_err(|_| wrong())?;
    Ok((value.clone(), traceback.cast::<PyTraceback>().ok().cloned()))
}

/// Sends bytes without waiting for the return value.
#[pyclass(frozen, module = "gateway")]
#[derive(Default)]
struct Write {
    request: HandleCell,
}

#[pymethods]
impl Write {
    /// `write(data, /)`
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(data) = data.cast::<PyBytes>() else { return Err(wrong_type("write takes bytes", data)) };
        self.request.get().write(py, Bytes::copy_from_slice(data.as_bytes()))
    }
}
