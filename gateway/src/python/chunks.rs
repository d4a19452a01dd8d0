//! What a Python application returned, as chunks.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::python::error::Raised;
use crate::python::request::Request;
use crate::{Chunks, Result};

/// What was returned: bytes that are all here, or something to ask for them.
pub(super) enum Returned {
    Known(Vec<Result<Bytes>>),
    Iterable { object: Py<PyAny>, iterator: Py<PyAny>, length: Option<usize> },
}

/// Lists up to so many bytes are taken at once. What is more is better not held twice.
const MOST_KNOWN: usize = 1 << 20;

impl Returned {
    /// Takes a plain list or tuple apart, which nobody can tell from iterating over it; has anything else iterate.
    pub(super) fn new(object: Bound<'_, PyAny>, context: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let items = match (object.cast_exact::<PyList>(), object.cast_exact::<PyTuple>()) {
            (Ok(list), _) => Some(list.iter().collect::<Vec<_>>()),
            (_, Ok(tuple)) => Some(tuple.iter().collect()),
            _ => None,
        };
        if let Some(items) = items
            && items.iter().map(|item| item.cast::<PyBytes>().map_or(0, |bytes| bytes.as_bytes().len())).sum::<usize>()
                <= MOST_KNOWN
        {
            return Ok(Self::Known(
                items.iter().map(|item| bytes(item).map_err(|error| Raised::new(py, &error).into())).collect(),
            ));
        }
        if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!(
                "the application returned {}, which would be sent letter by letter; return a list of one, [body]",
                object.get_type()
            )));
        }
        let length = object.len().ok();
        let iterator = context.call_method1(intern!(py, "run"), (builtins(py)?.iter.bind(py), &object));
        match iterator {
            Ok(iterator) => Ok(Self::Iterable {
                iterator: iterator.unbind(),
                object: object.unbind(),
                length: length.filter(|&n| n == 1),
            }),
            Err(error) => {
                let _ = close(&object, context);
                Err(error)
            }
        }
    }

    pub(super) fn into_chunks<'r>(self, request: Request<'r>, context: Py<PyAny>) -> Result<Chunks<'r>> {
        match self {
            Self::Known(items) if items.iter().all(Result::is_ok) => Chunks::known(items),
            Self::Known(items) => Ok(Chunks::new(items)),
            Self::Iterable { object, iterator, length } => {
                Ok(Chunks::new(Iterable { request, context, object: Some(object), iterator: Some(iterator), length }))
            }
        }
    }
}

/// An iterable that is asked for one chunk at a time, each time in the context of its request.
struct Iterable<'r> {
    request: Request<'r>,
    context: Py<PyAny>,
    /// What was returned. It is this that is closed, not its iterator.
    object: Option<Py<PyAny>>,
    iterator: Option<Py<PyAny>>,
    /// How many chunks there are still, if that is known.
    length: Option<usize>,
}

impl Iterator for Iterable<'_> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        let iterator = self.iterator.as_ref()?;
        let pulled = self.request.enter(|py| {
            let builtins = builtins(py)?;
            let next = (&builtins.next, iterator, &builtins.end);
            let item = self.context.bind(py).call_method1(intern!(py, "run"), next)?;
            if item.is(&builtins.end) { Ok(None) } else { bytes(&item).map(Some) }
        });
        self.length = self.length.map(|length| length.saturating_sub(1));
        if !matches!(pulled, Ok(Some(_))) {
            // Nobody asks an iterator again that has ended.
            let iterator = self.iterator.take();
            Python::try_attach(|_| drop(iterator));
        }
        pulled.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.length)
    }
}

/// What Python itself iterates with.
struct Builtins {
    iter: Py<PyAny>,
    next: Py<PyAny>,
    /// What `next` gives at the end, and nobody else.
    end: Py<PyAny>,
}

fn builtins(py: Python<'_>) -> PyResult<&'static Builtins> {
    static BUILTINS: PyOnceLock<Builtins> = PyOnceLock::new();
    BUILTINS.get_or_try_init(py, || {
        let module = py.import("builtins")?;
        let get = |name| Ok::<_, PyErr>(module.getattr(name)?.unbind());
        Ok(Builtins { iter: get("iter")?, next: get("next")?, end: module.call_method0("object")?.unbind() })
    })
}

/// WSGI's `close`. One that raises is what a destructor is in Rust that panics: caught by whoever drops the chunks, and a failure of the
/// response if it has not ended.
impl Drop for Iterable<'_> {
    fn drop(&mut self) {
        let (object, iterator) = (self.object.take(), self.iterator.take());
        let closed = self.request.enter(|py| {
            drop(iterator);
            object.map_or(Ok(()), |object| close(object.bind(py), self.context.bind(py)))
        });
        if let Err(error) = closed {
            let message = format!("close: {error}");
            if std::thread::panicking() {
                tracing::error!(error = message, "an iterable cannot be closed");
            } else {
                std::panic::resume_unwind(Box::new(message));
            }
        }
    }
}

fn close(object: &Bound<'_, PyAny>, context: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = object.py();
    match object.getattr_opt(intern!(py, "close"))? {
        Some(close) => context.call_method1(intern!(py, "run"), (close,)).map(drop),
        None => Ok(()),
    }
}

/// A chunk, copied: its memory is given back where it was taken, and no object of Python's leaves its thread.
fn bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the application yielded {item:?}, of type {}; chunks are bytes",
            item.get_type()
        ))),
    }
}
