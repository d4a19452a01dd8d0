//! The objects of a request in Python: those of the gateway, the dict, and the context.
//!
//! A thread keeps them for its next request, emptied, if the application has kept none of them: an object that is
//! referenced from anywhere else stays what it is, and the next request gets new ones. So it is, too, if the dict is a
//! part of a cycle, which Python's collector frees later.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::Environ;
use crate::python::environ::ThreadDict;
use crate::python::error_log::ErrorLog;
use crate::python::ffi;
use crate::python::input::Input;
use crate::python::request::{HandleCell, RequestHandle};
use crate::python::start_response::StartResponse;

/// What one request has, and the thread keeps.
pub(super) struct RequestObjects {
    dict: ThreadDict,
    /// `None` if the dict has none, either.
    objects: Option<Objects>,
    /// An empty context.
    context: Option<Py<PyAny>>,
}

/// The gateway's own objects. All but `start_response` are in the dict, too.
struct Objects {
    input: Py<Input>,
    errors: Py<ErrorLog>,
    wait_for_disconnect: Py<WaitForDisconnect>,
    start_response: Py<StartResponse>,
}

thread_local! {
    static KEPT: Cell<Option<Box<RequestObjects>>> = const { Cell::new(None) };
}

/// The keys of the objects in the dict.
pub(super) fn keys(py: Python<'_>) -> [&Bound<'_, PyString>; 3] {
    [intern!(py, "wsgi.input"), intern!(py, "wsgi.errors"), intern!(py, "gateway.wait_for_disconnect")]
}

impl RequestObjects {
    /// Takes those that this thread has kept. While it has none, as in a request that the application makes within
    /// another one, there are new ones.
    pub(super) fn take(py: Python<'_>) -> PyResult<Box<Self>> {
        match KEPT.take() {
            Some(kept) => Ok(kept),
            None => Ok(Box::new(Self { dict: ThreadDict::new(py)?, objects: None, context: None })),
        }
    }

    /// The context of a request: an empty one, or else a copy of that of the load.
    pub(super) fn context<'py>(&mut self, loaded: &Bound<'py, PyAny>, is_empty: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = loaded.py();
        match self.context.take().filter(|_| is_empty) {
            Some(context) => Ok(context.into_bound(py)),
            None => loaded.call_method0(intern!(py, "copy")),
        }
    }

    /// The arguments of the application.
    pub(super) fn begin<'py>(
        &mut self,
        py: Python<'py>,
        environ: &Environ,
        body: crate::Input,
        request: RequestHandle,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, StartResponse>)> {
        let objects = match &self.objects {
            Some(objects) => objects,
            None => {
                let objects = Objects::new(py)?;
                for (key, object) in keys(py).into_iter().zip(objects.of_dict(py)) {
                    self.dict.set(key, object)?;
                }
                self.objects.insert(objects)
            }
        };
        objects.begin(environ, body, request);
        let start_response = objects.start_response.bind(py).clone();
        Ok((self.dict.of_request(py, environ)?, start_response))
    }

    /// Drops the body if the application has not kept it: while the response is sent, its memory, its part of the spool
    /// and its permit are free.
    pub(super) fn release_body(&self, py: Python<'_>) {
        if let Some(Objects { input, .. }) = &self.objects
            && ffi::references(input.bind(py)) <= OF_DICT
        {
            input.get().end();
        }
    }

    /// Keeps what the next request of this thread can have. The request has ended, and its return value is dropped.
    pub(super) fn end(mut self: Box<Self>, context: Bound<'_, PyAny>) {
        let py = context.py();
        if ffi::references(&context) == 1 && context.len().is_ok_and(|length| length == 0) {
            self.context = Some(context.unbind());
        }
        if let Some(objects) = self.objects.take_if(|objects| objects.are_kept_elsewhere(py)) {
            drop(objects);
            // Without memory for that the next request gets another dict. This one has its response.
            if keys(py).into_iter().try_for_each(|key| self.dict.set(key, py.None().bind(py))).is_err() {
                return;
            }
        }
        if let Some(objects) = &self.objects {
            objects.end(py);
        }
        KEPT.set(Some(self));
    }
}

/// The references to an object of the dict that the application has not kept: ours, and that of the thread's dict.
const OF_DICT: isize = 2;

impl Objects {
    fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            input: Py::new(py, Input::default())?,
            errors: Py::new(py, ErrorLog::default())?,
            wait_for_disconnect: Py::new(py, WaitForDisconnect::default())?,
            start_response: Py::new(py, StartResponse::new(py)?)?,
        })
    }

    /// Those with [`keys`].
    fn of_dict<'a, 'py>(&'a self, py: Python<'py>) -> [&'a Bound<'py, PyAny>; 3] {
        [self.input.bind(py).as_any(), self.errors.bind(py).as_any(), self.wait_for_disconnect.bind(py).as_any()]
    }

    fn begin(&self, environ: &Environ, body: crate::Input, request: RequestHandle) {
        self.input.get().begin(body);
        self.errors.get().begin(request, environ);
        self.wait_for_disconnect.get().request.set(request);
        self.start_response.get().begin(request);
    }

    fn are_kept_elsewhere(&self, py: Python<'_>) -> bool {
        self.of_dict(py).into_iter().any(|object| ffi::references(object) > OF_DICT)
            || ffi::references(self.start_response.bind(py)) > 1
            || self.start_response.get().is_write_kept(py)
    }

    /// Drops the body, and logs what is left of a line. The number of the request stays, which no request has again.
    /// No other thread has these objects.
    fn end(&self, py: Python<'_>) {
        self.input.get().end();
        self.errors.get().end(py);
    }
}

/// Waits until the client has disconnected, for at most this many seconds. Returns whether it has.
#[pyclass(frozen, module = "gateway")]
#[derive(Default)]
struct WaitForDisconnect {
    request: HandleCell,
}

#[pymethods]
impl WaitForDisconnect {
    #[pyo3(signature = (seconds=0.0, /))]
    fn __call__(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        self.request.get().wait_for_disconnect(py, timeout)
    }
}
