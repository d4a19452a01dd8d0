//! A handle beside the two ends.
//!
//! Threads: any; `wait_closed` blocks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Item, Pipe};
use crate::sync::{Arc, Countdown, lock, wait_timeout};

/// A third handle on a pipe, which neither pushes nor pulls.
#[derive(Debug)]
pub(crate) struct Watch<T, F> {
    pub(super) pipe: Arc<Pipe<T, F>>,
}

impl<T, F> Clone for Watch<T, F> {
    fn clone(&self) -> Self {
        Self { pipe: Arc::clone(&self.pipe) }
    }
}

impl<T: Item, F: Copy + Default> Watch<T, F> {
    /// Closes the pipe and fails the stream: each side counts as gone to the other.
    pub(crate) fn cut(&self) {
        // Dropped outside the lock: destructors of items must not run under it.
        drop(self.pipe.change(|state| {
            self.pipe.close();
            state.end.get_or_insert(Err(F::default()));
            std::mem::take(&mut state.items)
        }));
    }

    /// Tells the task that the sender will not begin soon.
    pub(crate) fn delay(&self) {
        if !self.pipe.is_delayed.swap(true, Ordering::Relaxed) {
            // The task registers its waker under the lock, then reads the flag. The flag is stored before this lock is
            // taken: either the task reads it, or `change` finds the waker.
            self.pipe.change(|_| ());
        }
    }

    /// Whether the sender has stated a complete end, even if the stream was abandoned later.
    pub(crate) fn is_complete(&self) -> bool {
        lock(&self.pipe.state).is_complete
    }

    /// Whether the receiver has asked for an item at least once.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.pipe.state).wanted
    }

    /// The failure that the receiver has observed.
    pub(crate) fn observed(&self) -> Option<F> {
        let state = lock(&self.pipe.state);
        if state.observed { state.end.and_then(Result::err) } else { None }
    }

    /// Ends the stream with `failure`, whatever end was stated. Items in the pipe are not delivered.
    pub(crate) fn abandon(&self, failure: F) {
        // Dropped outside the lock: destructors of items must not run under it.
        drop(self.pipe.change(|state| {
            state.end = Some(Err(failure));
            std::mem::take(&mut state.items)
        }));
    }

    /// Waits for at most `timeout` until the receiver is gone. Returns whether it is.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let mut stall_timeout = Countdown::new(timeout);
        let mut state = lock(&self.pipe.state);
        loop {
            // `closed` is stored under this lock, which the wait releases: no close falls between this check and the
            // wait.
            if self.pipe.is_closed() {
                return true;
            }
            let Some(left) = stall_timeout.left() else { return false };
            state.thread_waits = true;
            state = wait_timeout(&self.pipe.thread, state, left).0;
        }
    }

    /// Whether the receiver is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.pipe.is_closed()
    }

    /// Ends the stream with `failure`, unless an end was stated.
    pub(crate) fn fail(&self, failure: F) {
        self.pipe.end(Err(failure));
    }
}
