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
use crate::environ::headers::header_key;
use crate::environ::{VARIABLES, Variable};
use crate::python::error_log::ErrorLog;
use crate::python::file_wrapper::FileWrapper;
use crate::python::input::Input;
use crate::python::request::Handle;

/// The constant part of an application's environs, created once.
///
/// The dict of a request is a copy of the template's dict, which has the keys that every request has. So it does not
/// grow key by key.
#[derive(Debug)]
pub(super) struct Template {
    dict: Py<PyDict>,
    /// In the order of [`VARIABLES`].
    variables: Vec<Key>,
    headers: Headers,
}

/// The key of a variable.
#[derive(Debug)]
struct Key {
    text: Py<PyString>,
    /// Consecutive requests mostly have the same value.
    repeats: bool,
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
        let mut variables = Vec::new();
        for key in VARIABLES {
            let text = PyString::intern(py, key);
            if is_always_there(key) {
                dict.set_item(&text, py.None())?;
            }
            variables.push(Key { text: text.unbind(), repeats: repeats(key) });
        }
        Ok(Self { dict: dict.unbind(), variables, headers: Headers::default() })
    }

    /// The dict of one request.
    pub(super) fn fill<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
        body: crate::Input,
        request: Handle,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.dict.bind(py).copy()?;
        let mut previous = None;
        let mut filled = Ok(());
        environ.each(|variable, value| {
            if filled.is_ok() {
                filled = self.set(&dict, &variable, value, &mut previous);
            }
        });
        filled?;
        for key in environ.hidden() {
            if dict.contains(key)? {
                dict.del_item(key)?;
            }
        }
        dict.set_item(intern!(py, "wsgi.multithread"), environ.multithread())?;
        dict.set_item(intern!(py, "wsgi.input"), Bound::new(py, Input::new(body))?)?;
        dict.set_item(intern!(py, "wsgi.errors"), Bound::new(py, ErrorLog::new(request, environ))?)?;
        dict.set_item(intern!(py, "gateway.wait_for_disconnect"), Bound::new(py, WaitForDisconnect { request })?)?;
        Ok(dict)
    }

    fn set<'py>(
        &self,
        dict: &Bound<'py, PyDict>,
        variable: &Variable<'_>,
        value: &str,
        previous: &mut Option<Bound<'py, PyString>>,
    ) -> PyResult<()> {
        let py = dict.py();
        match variable {
            Variable::Fixed(at) => {
                let Some(key) = self.variables.get(*at) else { return Ok(()) };
                let value = match previous.take() {
                    // Some variables have two names.
                    Some(previous) if is(&previous, value) => previous,
                    _ if key.repeats => last(py, *at, value),
                    _ => PyString::new(py, value),
                };
                dict.set_item(&key.text, &*previous.insert(value))
            }
            Variable::Header(name) => {
                self.headers.with_key(py, name, |key| dict.set_item(key, PyString::new(py, value)))
            }
            Variable::Other(key) => dict.set_item(PyString::new(py, key), PyString::new(py, value)),
        }
    }
}

/// Whether every request has this variable, unless it is hidden.
fn is_always_there(key: &str) -> bool {
    !matches!(key, "CONTENT_TYPE" | "CONTENT_LENGTH" | "REMOTE_ADDR" | "REMOTE_PORT" | "HTTPS" | "HTTP_HOST")
}

/// Whether consecutive requests often have the same value.
fn repeats(key: &str) -> bool {
    !matches!(
        key,
        "PATH_INFO"
            | "QUERY_STRING"
            | "CONTENT_LENGTH"
            | "REMOTE_PORT"
            | "REQUEST_URI"
            | "RAW_URI"
            | "gateway.request_id"
    )
}

/// The thread's cached value if it is equal, else a new one.
fn last<'py>(py: Python<'py>, at: usize, value: &str) -> Bound<'py, PyString> {
    LAST.with_borrow_mut(|last| {
        let Some(place) = last.get_mut(at) else { return PyString::new(py, value) };
        match place {
            Some(known) if is(known.bind(py), value) => known.clone_ref(py).into_bound(py),
            _ => {
                let made = PyString::new(py, value);
                *place = Some(made.clone().unbind());
                made
            }
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
const MOST_KEYS: usize = 256;

impl Headers {
    /// Race: Python code under the lock could hand the interpreter to a thread that then blocks on the lock, a
    /// deadlock. So none runs under it.
    fn with_key<R>(
        &self,
        py: Python<'_>,
        name: &HeaderName,
        act: impl FnOnce(&Bound<'_, PyString>) -> PyResult<R>,
    ) -> PyResult<R> {
        let known = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.get(name).map(|key| key.clone_ref(py))
        };
        if let Some(key) = known {
            return act(key.bind(py));
        }
        let key = PyString::new(py, &header_key(name));
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < MOST_KEYS {
            keys.insert(name.clone(), key.clone().unbind());
        }
        drop(keys);
        act(&key)
    }
}

/// Waits until the client has disconnected, for at most this many seconds. Returns whether it has.
#[pyclass(frozen, module = "gateway")]
struct WaitForDisconnect {
    request: Handle,
}

#[pymethods]
impl WaitForDisconnect {
    #[pyo3(signature = (seconds=0.0, /))]
    fn __call__(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        self.request.wait_for_disconnect(py, timeout)
    }
}
