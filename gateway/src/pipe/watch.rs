//! A handle beside the two ends.
//!
//! Threads: any; `wait_closed` blocks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Item, Shared};
use crate::sync::{Arc, Countdown, lock, wait_timeout};

/// A third handle on a pipe that neither pushes nor pulls.
#[derive(Debug)]
pub(crate) struct Watch<T, F> {
    pub(super) shared: Arc<Shared<T, F>>,
}

impl<T, F> Clone for Watch<T, F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Item, F: Copy + Default> Watch<T, F> {
    /// Has each side take the other for gone.
    pub(crate) fn cut(&self) {
        let unread = self.shared.change(|state| {
            self.shared.close();
            state.end.get_or_insert(Err(F::default()));
            std::mem::take(&mut state.items)
        });
        drop(unread);
    }
}

impl<T: Item, F: Copy> Watch<T, F> {
    /// Tells the task that the sender will not set to work soon.
    pub(crate) fn delay(&self) {
        if !self.shared.is_delayed.swap(true, Ordering::Relaxed) {
            // The task looks once it has left its waker, under the lock that wakes it.
            self.shared.change(|_| ());
        }
    }

    /// Whether the sender has said that the stream is complete, even if it was abandoned after.
    pub(crate) fn is_complete(&self) -> bool {
        lock(&self.shared.state).is_complete
    }

    /// Whether the receiver has asked for an item at least once.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.shared.state).wanted
    }

    /// The failure that the receiver has been told of.
    pub(crate) fn observed(&self) -> Option<F> {
        let state = lock(&self.shared.state);
        if state.observed { state.end.and_then(Result::err) } else { None }
    }

    /// Ends the stream for good: what is in it is not delivered any more.
    pub(crate) fn abandon(&self, failure: F) {
        let unread = self.shared.change(|state| {
            state.end = Some(Err(failure));
            std::mem::take(&mut state.items)
        });
        drop(unread);
    }

    /// Waits until the receiver has gone, but not longer than this. Says whether it has.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let mut stall_timeout = Countdown::new(timeout);
        let mut state = lock(&self.shared.state);
        loop {
            if self.shared.is_closed() {
                return true;
            }
            let Some(left) = stall_timeout.left() else {
                return false;
            };
            state.thread_waits = true;
            state = wait_timeout(&self.shared.thread, state, left).0;
        }
    }

    /// Whether the receiver has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Ends the stream with `failure`, unless the sender has already said how it ended.
    pub(crate) fn fail(&self, failure: F) {
        self.shared.end(Err(failure));
    }
}
