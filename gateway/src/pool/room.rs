//! Where requests wait for a place in line; see [`Overload::Wait`](super::Overload::Wait).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[derive(Default)]
pub(super) struct Room {
    freed: Notify,
    waiting: AtomicUsize,
    /// There are shares, so that a place is not for everybody.
    is_shared: AtomicBool,
}

/// One who waits, counted for as long as it does.
pub(super) struct Waiting<'r>(&'r Room);

impl Room {
    /// Joins those who wait.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// From now on a place that is freed may not be for whoever has waited longest.
    pub(super) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// A place is free.
    pub(super) fn free(&self) {
        if !self.is_awaited() {
            return;
        }
        if self.is_shared.load(Ordering::Relaxed) {
            self.freed.notify_waiters();
        } else {
            self.freed.notify_one();
        }
    }

    /// There will be no more places.
    pub(super) fn close(&self) {
        self.freed.notify_waiters();
    }
}

impl Waiting<'_> {
    /// Waits for a place to be freed, in the order of those who wait.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
