//! `environ`: the request as a dict.
//!
//! Threads: pool; blocks.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::HeaderName;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::Environ;
use crate::environ::headers;
use crate::environ::lookup::Key;
use crate::environ::variables::{Presence, VARIABLES};
use crate::python::error_log::ErrorLog;
use crate::python::file_wrapper::FileWrapper;
use crate::python::input::Input;
use crate::python::request::RequestHandle;

/// The parts of the environs that all requests share, created once in a process.
#[derive(Debug)]
pub(super) struct Template {
    /// The first dict of each thread.
    dict: Py<PyDict>,
    /// The keys of [`VARIABLES`], in their order.
    keys: Vec<Py<PyString>>,
    headers: Headers,
}

/// The dict of this thread's last request, as far as its variables are of the table. The dict of a request is a copy,
/// so that it neither grows key by key, nor gets again what has not changed.
struct ThreadDict {
    dict: Py<PyDict>,
    /// The values in `dict`, in the order of [`VARIABLES`].
    values: [Option<String>; VARIABLES.len()],
    /// `wsgi.multithread` and `wsgi.multiprocess`, which depend on the mount.
    concurrency: Option<(bool, bool)>,
}

thread_local! {
    static THREAD_DICT: Cell<Option<Box<ThreadDict>>> = const { Cell::new(None) };
}

impl Template {
    /// The template of this process.
    pub(super) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TEMPLATE: PyOnceLock<Template> = PyOnceLock::new();
        TEMPLATE.get_or_try_init(py, || Self::new(py))
    }

    fn new(py: Python<'_>) -> PyResult<Self> {
        let dict = PyDict::new(py);
        dict.set_item("wsgi.version", (1, 0))?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.input_terminated", true)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        for key in ["wsgi.multithread", "wsgi.multiprocess", "wsgi.input", "wsgi.errors", "gateway.wait_for_disconnect"]
        {
            dict.set_item(PyString::intern(py, key), py.None())?;
        }
        let mut keys = Vec::new();
        for variable in VARIABLES {
            let key = PyString::intern(py, variable.name);
            if variable.presence == Presence::Always {
                dict.set_item(&key, py.None())?;
            }
            keys.push(key.unbind());
        }
        Ok(Self { dict: dict.unbind(), keys, headers: Headers::default() })
    }

    /// The dict of one request.
    pub(super) fn fill<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
        body: crate::Input,
        request: RequestHandle,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.of_table(py, environ)?;
        dict.set_item(intern!(py, "wsgi.input"), Bound::new(py, Input::new(body))?)?;
        dict.set_item(intern!(py, "wsgi.errors"), Bound::new(py, ErrorLog::new(request, environ))?)?;
        dict.set_item(intern!(py, "gateway.wait_for_disconnect"), Bound::new(py, WaitForDisconnect { request })?)?;
        for (key, value) in environ.entries_outside_table() {
            let value = PyString::new(py, value);
            match key {
                Key::Table(index) => dict.set_item(&self.keys[index], value),
                Key::Header(name) => dict.set_item(self.headers.key(py, name), value),
                Key::Other(key) => dict.set_item(PyString::new(py, key), value),
            }?;
        }
        for key in environ.hidden() {
            if dict.contains(key)? {
                dict.del_item(key)?;
            }
        }
        Ok(dict)
    }

    /// A new dict with the variables of the table.
    fn of_table<'py>(&self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        // Taken: after an error the dict may not have what its values say, and the next request makes another one.
        let mut thread = match THREAD_DICT.take() {
            Some(thread) => thread,
            None => Box::new(ThreadDict {
                dict: self.dict.bind(py).copy()?.unbind(),
                values: [const { None }; VARIABLES.len()],
                concurrency: None,
            }),
        };
        let dict = thread.dict.bind(py);
        let concurrency = (environ.multithread(), environ.multiprocess());
        if thread.concurrency != Some(concurrency) {
            dict.set_item(intern!(py, "wsgi.multithread"), concurrency.0)?;
            dict.set_item(intern!(py, "wsgi.multiprocess"), concurrency.1)?;
            thread.concurrency = Some(concurrency);
        }
        // The last new value: some variables have two names.
        let mut last: Option<(&str, Bound<'py, PyString>)> = None;
        for ((known, key), value) in thread.values.iter_mut().zip(&self.keys).zip(environ.table()) {
            if known.as_deref() == value {
                continue;
            }
            match value {
                None => dict.del_item(key)?,
                Some(value) => {
                    let made = match last.take() {
                        Some((text, made)) if text == value => made,
                        _ => PyString::new(py, value),
                    };
                    dict.set_item(key, &made)?;
                    last = Some((value, made));
                }
            }
            match (known, value) {
                // Keeps the memory.
                (Some(known), Some(value)) => value.clone_into(known),
                (known, value) => *known = value.map(str::to_owned),
            }
        }
        let copy = dict.copy()?;
        THREAD_DICT.set(Some(thread));
        Ok(copy)
    }
}

/// The keys of known headers: most requests have the same headers.
#[derive(Debug, Default)]
struct Headers {
    keys: RwLock<HashMap<HeaderName, Py<PyString>>>,
}

/// Bounds the memory that a client can use by sending ever new names.
const KEY_LIMIT: usize = 256;

impl Headers {
    /// Race: Python code under the lock could hand the interpreter to a thread that then blocks on the lock, a
    /// deadlock. So none runs under it.
    fn key<'py>(&self, py: Python<'py>, name: &HeaderName) -> Bound<'py, PyString> {
        let known = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.get(name).map(|key| key.clone_ref(py))
        };
        if let Some(key) = known {
            return key.into_bound(py);
        }
        let key = PyString::new(py, &headers::key(name));
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEY_LIMIT {
            keys.insert(name.clone(), key.clone().unbind());
        }
        key
    }
}

/// Waits until the client has disconnected, for at most this many seconds. Returns whether it has.
#[pyclass(frozen, module = "gateway")]
struct WaitForDisconnect {
    request: RequestHandle,
}

#[pymethods]
impl WaitForDisconnect {
    #[pyo3(signature = (seconds=0.0, /))]
    fn __call__(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        self.request.wait_for_disconnect(py, timeout)
    }
}
