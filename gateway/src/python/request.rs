//! The current request of a thread, for the objects that Python holds.
//!
//! Python may keep its objects for any time, so they cannot borrow from a request. `start_response` and the others hold
//! only a number; the request is looked up here, while its thread is inside a call into Python. On another thread, or
//! later, the lookup fails, and the object is inert.
//!
//! Threads: pool.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::{PyErr, PyResult, Python};
use scoped_tls_hkt::scoped_thread_local;

use crate::python::error::{Raised, to_python};
use crate::python::{attach, fork, lock};
use crate::response::head::ResponseHead;
use crate::{ContractError, Environ, Error, ErrorLog, Result, StartResponse, Write};

/// The number of a request, unique in the process, for Python objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestHandle(u64);

/// The number of the request that a Python object belongs to. A thread sets it again for its next request if no one
/// else has the object.
#[derive(Debug)]
pub(super) struct HandleCell(AtomicU64);

/// One request while its application runs.
pub(super) struct RunningRequest<'r> {
    handle: RequestHandle,
    start_response: StartResponse<'r>,
    write: RefCell<Option<Write<'r>>>,
    environ: &'r Environ,
}

/// The actions of Python objects on their request.
trait Actions {
    fn start(&self, head: Result<ResponseHead, ContractError>, error: Option<Error>) -> Result<()>;
    fn write(&self, bytes: Bytes) -> Result<()>;
    fn wait_for_disconnect(&self, timeout: Duration) -> bool;
    fn errors(&self) -> ErrorLog;
}

/// The current request of this thread.
#[derive(Clone, Copy)]
struct Current<'a> {
    handle: RequestHandle,
    /// The number of forks at the beginning of the call: in a child, the request is that of its parent.
    forks: u64,
    actions: &'a (dyn Actions + 'a),
}

scoped_thread_local!(static CURRENT: for<'a> Current<'a>);

impl<'r> RunningRequest<'r> {
    pub(super) fn new(environ: &'r Environ, start_response: StartResponse<'r>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let handle = RequestHandle(NEXT.fetch_add(1, Ordering::Relaxed));
        Self { handle, start_response, write: RefCell::new(None), environ }
    }

    pub(super) fn handle(&self) -> RequestHandle {
        self.handle
    }

    /// Calls into Python on behalf of the request.
    pub(super) fn enter<R>(&self, call: impl FnOnce(Python<'_>) -> PyResult<R>) -> Result<R> {
        let forks = fork::count();
        let current = Current { handle: self.handle, forks, actions: self };
        let _running = lock::Running::begin();
        let in_python = |py: Python<'_>| {
            if !attach::is_settled() {
                attach::introduce(py);
            }
            let returned = call(py);
            if fork::count() != forks {
                fork::end(py, returned.err());
            }
            returned.map_err(|error| Raised::new(py, &error).into())
        };
        CURRENT.set(current, || {
            Python::try_attach(in_python).unwrap_or_else(|| Err(Error::new("the interpreter has ended")))
        })
    }
}

impl Actions for RunningRequest<'_> {
    fn start(&self, head: Result<ResponseHead, ContractError>, error: Option<Error>) -> Result<()> {
        let write = self.start_response.start(head, error)?;
        *self.write.borrow_mut() = Some(write);
        Ok(())
    }

    fn write(&self, bytes: Bytes) -> Result<()> {
        match self.write.borrow().as_ref() {
            Some(write) => Ok(write.send(bytes)?),
            None => Err(Error::new("nothing can be written before start_response was called")),
        }
    }

    fn wait_for_disconnect(&self, timeout: Duration) -> bool {
        self.environ.wait_for_disconnect(timeout)
    }

    fn errors(&self) -> ErrorLog {
        self.environ.errors()
    }
}

impl HandleCell {
    pub(super) fn get(&self) -> RequestHandle {
        RequestHandle(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, handle: RequestHandle) {
        self.0.store(handle.0, Ordering::Relaxed);
    }
}

/// Belongs to no request.
impl Default for HandleCell {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl RequestHandle {
    /// Starts the response.
    pub(super) fn start(self, head: Result<ResponseHead, ContractError>, error: Option<Error>) -> PyResult<Result<()>> {
        self.act(|actions| actions.start(head, error))
    }

    /// Sends bytes. Detached from the interpreter while it waits for room.
    pub(super) fn write(self, py: Python<'_>, bytes: Bytes) -> PyResult<()> {
        detach(py, || self.act(|actions| actions.write(bytes)))?.map_err(to_python)
    }

    pub(super) fn wait_for_disconnect(self, py: Python<'_>, timeout: Duration) -> PyResult<bool> {
        detach(py, || self.act(|actions| actions.wait_for_disconnect(timeout)))
    }

    /// The log of the request.
    pub(super) fn errors(self) -> PyResult<ErrorLog> {
        self.act(|actions| actions.errors())
    }

    fn act<R>(self, act: impl FnOnce(&dyn Actions) -> R) -> PyResult<R> {
        if !CURRENT.is_set() {
            return Err(inert());
        }
        CURRENT.with(|current| {
            let is_ours = current.handle == self && current.forks == fork::count();
            if is_ours { Ok(act(current.actions)) } else { Err(inert()) }
        })
    }
}

/// Waits detached from the interpreter, on any thread of Python.
pub(super) fn detach<R: Send>(py: Python<'_>, wait: impl FnOnce() -> R + Send) -> R {
    // Another thread of the application does not count as running.
    let _paused = CURRENT.is_set().then(lock::Paused::begin);
    py.detach(wait)
}

fn inert() -> PyErr {
    PyRuntimeError::new_err("this belongs to a request that has ended, or to another thread or process")
}
