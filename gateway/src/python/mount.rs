//! What suits Python: a pool and a mount with other defaults.
//!
//! Threads: the program's.

use std::io;

use pyo3::prelude::*;

use crate::{Application, Gateway, Pool, PoolBuilder, Spool};

/// Settings for a pool that runs Python: stacks of 8 MiB, which is what its recursion is made for, and one thread that
/// computes at a time where the interpreter has a lock for that. All else is as for [`Pool::builder`]; threads that
/// wait are not held back.
pub fn pool() -> PoolBuilder {
    let builder = Pool::builder().name("python").stack_size(8 * 1024 * 1024);
    if has_lock() { builder.parallelism(1) } else { builder }
}

/// Serves an application on a pool, as Python's frameworks expect it: request bodies are read whole before it is
/// called, so that there is always a `CONTENT_LENGTH`. The application is a [`Callable`](crate::python::Callable), or
/// Rust middleware around one.
///
/// Where bodies should stream instead, [`Gateway::new`] makes such a mount.
///
/// # Errors
///
/// The system's own error if there is no place for large bodies; see
/// [`SpoolBuilder::build`](crate::SpoolBuilder::build).
pub fn mount(application: impl Application, pool: &Pool) -> io::Result<Gateway> {
    Ok(Gateway::new(application).pool(pool).spool(&Spool::builder().build()?))
}

/// Whether one thread at a time can run Python.
fn has_lock() -> bool {
    super::attach::start();
    Python::attach(|py| {
        let is_enabled = py.import("sys")?.getattr_opt("_is_gil_enabled")?;
        is_enabled.map_or(Ok(true), |is_enabled| is_enabled.call0()?.is_truthy())
    })
    .unwrap_or(true)
}
