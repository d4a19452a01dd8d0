//! `environ`: the request as a dict.
//!
//! Threads: pool; blocks.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use http::HeaderName;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::Environ;
use crate::environ::headers;
use crate::environ::local::{Addresses, OF_ADDRESSES};
use crate::environ::lookup::Key;
use crate::environ::variables::{Presence, VARIABLES};
use crate::python::file_wrapper::FileWrapper;
use crate::python::objects;

/// The parts of the environs that all requests share, created once in a process.
#[derive(Debug)]
struct Template {
    /// The first dict of each thread.
    dict: Py<PyDict>,
    /// The keys of [`VARIABLES`], in their order.
    keys: Vec<Py<PyString>>,
    headers: Headers,
    /// The places of [`OF_ADDRESSES`] in the table.
    of_addresses: [usize; 4],
}

/// The dict of a thread's last request, as far as its variables are of the table. The dict of a request is a copy, so
/// that it neither grows key by key, nor gets again what has not changed.
pub(super) struct ThreadDict {
    template: &'static Template,
    dict: Py<PyDict>,
    /// The values in `dict`, in the order of [`VARIABLES`].
    values: [Option<String>; VARIABLES.len()],
    /// `wsgi.multithread` and `wsgi.multiprocess`, which depend on the mount.
    concurrency: Option<(bool, bool)>,
    /// Those of the last request, if they decide its variables.
    addresses: Option<Addresses>,
}

impl Template {
    /// The template of this process.
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TEMPLATE: PyOnceLock<Template> = PyOnceLock::new();
        TEMPLATE.get_or_try_init(py, || Self::new(py))
    }

    fn new(py: Python<'_>) -> PyResult<Self> {
        let dict = PyDict::new(py);
        dict.set_item("wsgi.version", (1, 0))?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.input_terminated", true)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        for key in [intern!(py, "wsgi.multithread"), intern!(py, "wsgi.multiprocess")] {
            dict.set_item(key, py.None())?;
        }
        for key in objects::keys(py) {
            dict.set_item(key, py.None())?;
        }
        let mut keys = Vec::new();
        for variable in VARIABLES {
            let key = PyString::intern(py, variable.name);
            if variable.presence == Presence::Always {
                dict.set_item(&key, py.None())?;
            }
            keys.push(key.unbind());
        }
        // A name that were missing would have a place behind the table, which is never looked at.
        let place = |name| VARIABLES.iter().position(|variable| variable.name == name).unwrap_or(VARIABLES.len());
        Ok(Self { dict: dict.unbind(), keys, headers: Headers::default(), of_addresses: OF_ADDRESSES.map(place) })
    }
}

impl ThreadDict {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let template = Template::get(py)?;
        Ok(Self {
            template,
            dict: template.dict.bind(py).copy()?.unbind(),
            values: [const { None }; VARIABLES.len()],
            concurrency: None,
            addresses: None,
        })
    }

    /// Sets a variable of all following requests that is not of the table.
    pub(super) fn set(&self, key: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.dict.bind(key.py()).set_item(key, value)
    }

    /// The dict of one request. After an error, this one may not have what its values say, and must not be used again.
    pub(super) fn of_request<'py>(&mut self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        let Template { keys, headers, .. } = self.template;
        self.update(py, environ)?;
        let dict = self.dict.bind(py).copy()?;
        for (key, value) in environ.entries_outside_table() {
            let value = PyString::new(py, value);
            match key {
                Key::Table(index) => dict.set_item(&keys[index], value),
                Key::Header(name) => dict.set_item(headers.key(py, name), value),
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

    /// Sets the variables of the table that differ from those of the last request.
    fn update(&mut self, py: Python<'_>, environ: &Environ) -> PyResult<()> {
        let dict = self.dict.bind(py);
        let concurrency = (environ.multithread(), environ.multiprocess());
        if self.concurrency != Some(concurrency) {
            dict.set_item(intern!(py, "wsgi.multithread"), concurrency.0)?;
            dict.set_item(intern!(py, "wsgi.multiprocess"), concurrency.1)?;
            self.concurrency = Some(concurrency);
        }
        let addresses = environ.addresses();
        let unchanged = match (&addresses, &self.addresses) {
            (Some(addresses), Some(last)) => addresses.have_in_common(last),
            _ => [false; 4],
        };
        let mut is_unchanged = [false; VARIABLES.len()];
        for (&place, unchanged) in self.template.of_addresses.iter().zip(unchanged) {
            if let Some(is_unchanged) = is_unchanged.get_mut(place) {
                *is_unchanged = unchanged;
            }
        }
        self.addresses = addresses;
        let value = environ.table();
        // The last new value: some variables have two names.
        let mut last: Option<(&str, Bound<'_, PyString>)> = None;
        for (index, (known, key)) in self.values.iter_mut().zip(&self.template.keys).enumerate() {
            // Neither computed nor compared: the text of an address costs more than the rest of its variable.
            if is_unchanged[index] {
                continue;
            }
            let value = value(index);
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
        Ok(())
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
