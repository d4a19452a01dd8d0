//! `environ`: the request as a dict.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::HeaderName;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::Environ;
use crate::python::error_log::ErrorLog;
use crate::python::file_wrapper::FileWrapper;
use crate::python::input::Input;
use crate::python::request::Handle;
use crate::request::{VARIABLES, Variable, header_key};

/// What is the same for all requests of an application, made once.
#[derive(Debug)]
pub(super) struct Template {
    dict: Py<PyDict>,
    /// The keys of [`VARIABLES`].
    variables: Vec<Py<PyString>>,
    headers: Headers,
}

impl Template {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let dict = PyDict::new(py);
        dict.set_item("wsgi.version", (1, 0))?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.multiprocess", false)?;
        dict.set_item("wsgi.input_terminated", true)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        let variables = VARIABLES.iter().map(|key| PyString::intern(py, key).unbind()).collect();
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
        let mut filled = Ok(());
        environ.each(|variable, value| {
            if filled.is_ok() {
                filled = self.set(&dict, &variable, value);
            }
        });
        filled?;
        dict.set_item(intern!(py, "wsgi.multithread"), environ.multithread())?;
        dict.set_item(intern!(py, "wsgi.input"), Bound::new(py, Input::new(body))?)?;
        dict.set_item(intern!(py, "wsgi.errors"), Bound::new(py, ErrorLog::new(request, environ))?)?;
        dict.set_item(intern!(py, "gateway.wait_for_disconnect"), Bound::new(py, WaitForDisconnect { request })?)?;
        Ok(dict)
    }

    fn set(&self, dict: &Bound<'_, PyDict>, variable: &Variable<'_>, value: &str) -> PyResult<()> {
        let py = dict.py();
        let value = PyString::new(py, value);
        match variable {
            Variable::Fixed(at) => match self.variables.get(*at) {
                Some(key) => dict.set_item(key, value),
                None => Ok(()),
            },
            Variable::Header(name) => self.headers.with_key(py, name, |key| dict.set_item(key, value)),
            Variable::Other(key) => dict.set_item(PyString::new(py, key), value),
        }
    }
}

/// The keys of headers that have been seen: most requests have the same.
#[derive(Debug, Default)]
struct Headers {
    keys: RwLock<HashMap<HeaderName, Py<PyString>>>,
}

/// Whoever sends ever new names gets no more of them remembered.
const MOST_KEYS: usize = 256;

impl Headers {
    /// No Python runs while the lock is held, so that nobody waits for it who has the interpreter.
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

/// Waits until the client has gone, but no longer than so many seconds. Says whether it has.
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
