//! A pool and a mount with defaults for Python.
//!
//! Threads: the program's.

use std::io;

use pyo3::prelude::*;

use crate::python::{interpreter, lock};
use crate::{Application, Gateway, Pool, PoolBuilder, Spool};

/// How many requests wait for a thread. gunicorn's backlog has the same length.
const QUEUE: usize = 2048;

/// Settings for a pool that runs Python: stacks of 8 MiB, for Python's recursion limit, a
/// [queue](PoolBuilder::queue) of 2,048 requests, and, if the interpreter has a global lock, one
/// [driver](PoolBuilder::drivers) and a parallelism of one runnable thread: a second one would wait for the lock. All
/// else is as for [`Pool::builder`]; blocked threads do not count.
///
/// The queue does not depend on the number of threads, which are few for Python: a burst of requests waits, as with
/// Python's own servers, and [`queue_timeout`](PoolBuilder::queue_timeout) bounds the wait.
pub fn pool() -> PoolBuilder {
    let builder = Pool::builder().name("python").stack_size(8 * 1024 * 1024).queue(QUEUE);
    // If the interpreter cannot be started, loading the application fails for the same reason, and says so.
    let has_lock = interpreter::start().is_err() || Python::attach(lock::exists);
    if has_lock { builder.drivers(1).parallelism(1) } else { builder }
}

/// Serves an application on a pool, as Python frameworks expect: request bodies are [spooled](Gateway::spool), so that
/// there is always a `CONTENT_LENGTH`. The application is a [`Callable`](crate::python::Callable), or Rust middleware
/// around one.
///
/// A body may be as large as the spool, 1 GiB, which bounds all bodies together. A lower [`body_limit`] is the
/// application's to set, as by Flask's `MAX_CONTENT_LENGTH`, or the mount's; with a spool of your own, set both.
///
/// To stream bodies instead, use [`Gateway::new`].
///
/// [`body_limit`]: Gateway::body_limit
///
/// # Errors
///
/// The system's error if there is no directory for large bodies; see
/// [`SpoolBuilder::build`](crate::SpoolBuilder::build).
pub fn mount(application: impl Application, pool: &Pool) -> io::Result<Gateway> {
    let spool = Spool::builder().build()?;
    Ok(Gateway::new(application).pool(pool).body_limit(spool.total()).spool(&spool))
}
