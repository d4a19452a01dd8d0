//! The interpreter's lock, as far as the pools know of it.
//!
//! Threads: pool; never blocks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::python::attach;

/// The threads that run Python for a request. One that sleeps in Python, or runs code that has released the lock,
/// counts, too: Python does not say so.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether threads take turns at all.
static HAS_LOCK: AtomicBool = AtomicBool::new(true);

/// Finds out whether this interpreter has a lock: a free-threaded build has none, unless a module has enabled it.
pub(super) fn exists(py: Python<'_>) -> bool {
    let ask = || match py.import("sys")?.getattr_opt("_is_gil_enabled")? {
        Some(is_enabled) => is_enabled.call0()?.is_truthy(),
        None => Ok(true),
    };
    let exists = ask().unwrap_or(true);
    HAS_LOCK.store(exists, Ordering::Relaxed);
    exists
}

/// Whether threads take turns, as far as the pools have found out: with a lock, unless they know of none.
pub(super) fn is_there() -> bool {
    HAS_LOCK.load(Ordering::Relaxed)
}

/// Whether no request runs Python, so that this thread is likely to get the lock at once. The threads of the
/// application and of the program itself are not counted, and the answer may be outdated when it is used: then this
/// thread waits for a turn of another.
pub(super) fn is_free() -> bool {
    !is_there() || RUNNING.load(Ordering::Relaxed) == 0
}

/// Whether this thread can run a job in Python where it was read: a driver that waited for the lock would hold up its
/// connections, and the job needs a thread state that lasts.
pub(super) fn may_run_here() -> bool {
    attach::is_settled() && is_free()
}

/// A thread that runs Python, until it is dropped.
pub(super) struct Running(());

impl Running {
    pub(super) fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread that runs Python and waits, until it is dropped.
pub(super) struct Paused(());

impl Paused {
    pub(super) fn begin() -> Self {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        RUNNING.fetch_add(1, Ordering::Relaxed);
    }
}
