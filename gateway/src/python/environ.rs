//! `environ`: the request as a dict.
//!
//! Threads: pool; blocks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::HeaderName;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::Environ;
use crate::environ::headers;
use crate::environ::lookup::Key;
use crate::environ::variables::{Presence, Stability, VARIABLES};
use crate::python::error_log::ErrorLog;
use crate::python::file_wrapper::FileWrapper;
use crate::python::input::Input;
use crate::python::request::RequestHandle;

/// The constant part of an application's environs, created once.
///
/// The dict of a request is a copy of the template's dict, which has the keys that every request has. So it does not
/// grow key by key.
#[derive(Debug)]
pub(super) struct Template {
    dict: Py<PyDict>,
    /// The keys of [`VARIABLES`], in their order.
    keys: Vec<Py<PyString>>,
    headers: Headers,
}

thread_local! {
    /// The last values that this thread has created for repeating keys, in the order of [`VARIABLES`].
    static LAST: RefCell<[Option<Py<PyString>>; VARIABLES.len()]> = const { RefCell::new([const { None }; VARIABLES.len()]) };
}

impl Template {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let dict = PyDict::new(py);
        dict.set_item("wsgi.version", (1, 0))?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.multiprocess", false)?;
        dict.set_item("wsgi.input_terminated", true)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        for key in ["wsgi.multithread", "wsgi.input", "wsgi.errors", "gateway.wait_for_disconnect"] {
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
        let dict = self.dict.bind(py).copy()?;
        dict.set_item(intern!(py, "wsgi.multithread"), environ.multithread())?;
        dict.set_item(intern!(py, "wsgi.input"), Bound::new(py, Input::new(body))?)?;
        dict.set_item(intern!(py, "wsgi.errors"), Bound::new(py, ErrorLog::new(request, environ))?)?;
        dict.set_item(intern!(py, "gateway.wait_for_disconnect"), Bound::new(py, WaitForDisconnect { request })?)?;
        let mut previous = None;
        environ.entries().try_for_each(|(key, value)| self.set(&dict, key, value, &mut previous))?;
        for key in environ.hidden() {
            if dict.contains(key)? {
                dict.del_item(key)?;
            }
        }
        Ok(dict)
    }

    fn set<'py>(
        &self,
        dict: &Bound<'py, PyDict>,
        key: Key<'_>,
        value: &str,
        previous: &mut Option<Bound<'py, PyString>>,
    ) -> PyResult<()> {
        let py = dict.py();
        match key {
            Key::Table(index) => {
                let value = match previous.take() {
                    // Some variables have two names.
                    Some(previous) if is(&previous, value) => previous,
                    _ if VARIABLES[index].stability == Stability::Stable => last(py, index, value),
                    _ => PyString::new(py, value),
                };
                dict.set_item(&self.keys[index], &*previous.insert(value))
            }
            Key::Header(name) => dict.set_item(self.headers.key(py, name), PyString::new(py, value)),
            Key::Other(key) => dict.set_item(PyString::new(py, key), PyString::new(py, value)),
        }
    }
}

/// The thread's cached value if it is equal, else a new one.
fn last<'py>(py: Python<'py>, index: usize, value: &str) -> Bound<'py, PyString> {
    LAST.with_borrow_mut(|last| match &mut last[index] {
        Some(known) if is(known.bind(py), value) => known.clone_ref(py).into_bound(py),
        place => {
            let made = PyString::new(py, value);
            *place = Some(made.clone().unbind());
            made
        }
    })
}

fn is(text: &Bound<'_, PyString>, value: &str) -> bool {
    text.to_str().is_ok_and(|text| text == value)
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
