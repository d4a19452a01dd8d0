//! The return value of a Python application, as chunks.
//!
//! Threads: pool; blocks.

use std::fs::File;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::log;
use crate::python::error::Raised;
use crate::python::file_wrapper::FileWrapper;
use crate::python::objects::RequestObjects;
use crate::python::request::RunningRequest;
use crate::python::text;
use crate::{Chunks, Result};

/// A return value.
pub(super) enum ReturnValue {
    /// All chunks, copied.
    Known(Vec<Result<Bytes>>),
    /// A file that Rust can read.
    File(File, OpenObject),
    /// An iterable, and its number of chunks, if known.
    Iterable(OpenObject, Option<usize>),
}

/// A Python object that is still open, and what its request has.
pub(super) struct OpenObject {
    objects: Box<RequestObjects>,
    context: Py<PyAny>,
    /// The returned object. It is closed, not its iterator.
    object: Py<PyAny>,
    iterator: Option<Py<PyAny>>,
}

/// Lists up to this many bytes are copied at once. Larger ones would cost twice their memory.
const KNOWN_BYTES_LIMIT: usize = 1 << 20;

impl ReturnValue {
    /// Copies the items of a plain list or tuple, which has no observable difference to iterating; iterates over any
    /// other object.
    pub(super) fn new(
        object: Bound<'_, PyAny>,
        context: Bound<'_, PyAny>,
        objects: Box<RequestObjects>,
    ) -> PyResult<Self> {
        let py = object.py();
        if let Some(items) = plain_items(&object)
            && items.iter().map(|item| item.cast::<PyBytes>().map_or(0, |bytes| bytes.as_bytes().len())).sum::<usize>()
                <= KNOWN_BYTES_LIMIT
        {
            let chunks = items.iter().map(|item| bytes(item).map_err(|error| Raised::new(py, &error).into()));
            let chunks = chunks.collect();
            drop((items, object));
            objects.end(context);
            return Ok(Self::Known(chunks));
        }
        if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!(
                "the application returned {}, which would be sent letter by letter; return a list of one, [body]",
                object.get_type()
            )));
        }
        objects.release_body(py);
        if let Ok(wrapper) = object.cast_exact::<FileWrapper>()
            && let Some(file) = wrapper.get().plain_file(py)
        {
            return Ok(Self::File(
                file,
                OpenObject { objects, context: context.unbind(), object: object.unbind(), iterator: None },
            ));
        }
        let length = if has_length(&object)? { object.len().ok().filter(|&length| length == 1) } else { None };
        match context.call_method1(intern!(py, "run"), (builtins(py)?.iter.bind(py), &object)) {
            Ok(iterator) => {
                let iterator = Some(iterator.unbind());
                let open = OpenObject { objects, context: context.unbind(), object: object.unbind(), iterator };
                Ok(Self::Iterable(open, length))
            }
            Err(error) => {
                // The application gets the error of `iter`, not one of `close`.
                let _ = close(&object, &context);
                Err(error)
            }
        }
    }

    pub(super) fn into_chunks(self, request: RunningRequest<'_>) -> Result<Chunks<'_>> {
        match self {
            Self::Known(items) if items.iter().all(Result::is_ok) => Ok(Chunks::known(items)?),
            Self::Known(items) => Ok(Chunks::new(items)),
            Self::File(file, object) => Ok(Chunks::file(file).closing(Open { request, object: Some(object) })),
            Self::Iterable(object, length) => {
                Ok(Chunks::new(Iterable { open: Open { request, object: Some(object) }, length }))
            }
        }
    }
}

/// Whether `len` would not raise: an exception costs more than this check.
fn has_length(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.get_type().getattr_opt(intern!(object.py(), "__len__"))?.is_some())
}

/// The items of an exact list or tuple: neither has a `close`, nor runs code to yield an item.
fn plain_items<'py>(object: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = object.cast_exact::<PyList>() {
        return Some(list.iter().collect());
    }
    Some(object.cast_exact::<PyTuple>().ok()?.iter().collect())
}

/// The return value until it is closed. It is dropped while the thread is attached to the interpreter.
struct Open<'r> {
    request: RunningRequest<'r>,
    object: Option<OpenObject>,
}

/// An iterable that yields one chunk at a time, in the context of its request.
struct Iterable<'r> {
    open: Open<'r>,
    /// The number of remaining chunks, if known.
    length: Option<usize>,
}

impl Iterator for Iterable<'_> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        let Open { request, object } = &mut self.open;
        let OpenObject { context, iterator, .. } = object.as_mut()?;
        // Taken: an iterator that has ended or raised is not called again.
        let current = iterator.take()?;
        let pulled = request.enter(|py| {
            let builtins = builtins(py)?;
            let next = (&builtins.next, &current, &builtins.end);
            let item = context.bind(py).call_method1(intern!(py, "run"), next)?;
            if item.is(&builtins.end) {
                return Ok(None);
            }
            let bytes = bytes(&item)?;
            *iterator = Some(current);
            Ok(Some(bytes))
        });
        self.length = self.length.map(|length| length.saturating_sub(1));
        pulled.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.length)
    }
}

/// Python's builtins for iterating.
struct Builtins {
    iter: Py<PyAny>,
    next: Py<PyAny>,
    /// The unique default that `next` returns at the end.
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

/// WSGI's `close`. If it raises, this destructor panics: the panic is caught where the chunks are dropped, and fails a
/// response that has not ended.
impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Some(OpenObject { objects, context, object, iterator }) = self.object.take() else { return };
        let closed = self.request.enter(move |py| {
            drop(iterator);
            let (object, context) = (object.into_bound(py), context.into_bound(py));
            let closed = close(&object, &context);
            drop(object);
            objects.end(context);
            closed
        });
        if let Err(error) = closed {
            let message = format!("close: {error}");
            if std::thread::panicking() {
                log::error!(error = message, "what an application returned cannot be closed");
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

/// A chunk, copied: Python frees its memory on its own thread, and no Python object leaves the thread.
fn bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the application yielded {}, of type {}; chunks are bytes",
            text::quoted(item),
            item.get_type()
        ))),
    }
}
