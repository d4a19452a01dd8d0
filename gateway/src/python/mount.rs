//! A pool and a mount with defaults for Python.
//!
//! Threads: the program's.

use std::io;

use pyo3::prelude::*;

use crate::{Application, Gateway, Pool, PoolBuilder, Spool};

/// Settings for a pool that runs Python: stacks of 8 MiB, for Python's recursion limit, no
/// [drivers](PoolBuilder::drivers), which would not run Python anyway, and, if the interpreter has a global lock, a
/// parallelism of one runnable thread. All else is as for [`Pool::builder`]; blocked threads do not count.
pub fn pool() -> PoolBuilder {
    let builder = Pool::builder().name("python").stack_size(8 * 1024 * 1024).drivers(0);
    if has_lock() { builder.parallelism(1) } else { builder }
}

/// Serves an application on a pool, as Python frameworks expect: request bodies are read whole before the call, so
/// there is always a `CONTENT_LENGTH`. The application is a [`Callable`](crate::python::Callable), or Rust middleware
/// around one.
///
/// To stream bodies instead, use [`Gateway::new`].
///
/// # Errors
///
/// The system's error if there is no directory for large bodies; see
/// [`SpoolBuilder::build`](crate::SpoolBuilder::build).
pub fn mount(application: impl Application, pool: &Pool) -> io::Result<Gateway> {
    Ok(Gateway::new(application).pool(pool).spool(&Spool::builder().build()?))
}

/// Whether the interpreter has a global lock.
fn has_lock() -> bool {
    super::attach::start();
    Python::attach(|py| {
        let is_enabled = py.import("sys")?.getattr_opt("_is_gil_enabled")?;
        is_enabled.map_or(Ok(true), |is_enabled| is_enabled.call0()?.is_truthy())
    })
    .unwrap_or(true)
}
