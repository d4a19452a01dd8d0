//! The receiving end of a pipe.
//!
//! Threads: `poll_…` on the runtime; `pull` on any, and blocks.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::{Item, Pipe, PipeState, Watch, release};
use crate::sync::{Arc, lock};

/// The receiving end of a pipe. Dropping it closes the pipe.
#[derive(Debug)]
pub(crate) struct Receiver<T: Item, F> {
    pub(super) pipe: Arc<Pipe<T, F>>,
    /// The stream has ended and all items were taken: no side waits any more, so the drop need not close the pipe.
    pub(super) has_seen_end: bool,
    /// The task has polled, and most likely registered its waker.
    pub(super) was_polled: bool,
}

impl<T: Item, F: Copy> Receiver<T, F> {
    /// Pulls the next item and waits for it. `None` is a complete end. Later calls return the same end or failure
    /// again.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn pull(&mut self) -> Option<Result<T, F>> {
        let mut state = lock(&self.pipe.state);
        if !state.wanted {
            state.wanted = true;
            // The task may wait for this in `poll_wanted`. Without this wakeup both sides would wait for each other.
            release(state);
            state = lock(&self.pipe.state);
        }
        let item = loop {
            match take(&mut state) {
                Some(item) => break item,
                None => state = self.pipe.wait(state),
            }
        };
        self.has_seen_end = state.is_over();
        // Room has become free: wake the task if it waits in `poll_push`.
        release(state);
        item
    }

    /// Pulls the next item, if there is one; see [`pull`](Receiver::pull).
    ///
    /// # Threads
    ///
    /// Task only.
    pub(crate) fn poll_pull(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T, F>>> {
        let is_first = !std::mem::replace(&mut self.was_polled, true);
        let polled = self.pipe.poll(cx, is_first, |state| {
            state.wanted = true;
            let item = take(state)?;
            Some(((item, state.is_over()), state.notifies_thread()))
        });
        polled.map(|(item, is_over)| {
            self.has_seen_end = is_over;
            item
        })
    }

    /// Closes the pipe unless the sender has begun to work or has stated an end. Returns whether it is closed by this:
    /// then the sender will never begin. One lock guards this check and `Sender::begin`, so that a job cannot both
    /// begin and expire, and `Sender::fail_unless_closed`, so that it is not both dropped and expired.
    pub(crate) fn close_unless_begun(&self) -> bool {
        let state = lock(&self.pipe.state);
        let closes = !state.begun && state.end.is_none();
        if closes {
            self.pipe.close();
        }
        closes
    }

    /// The failure that the sender has stated, even if items before it were not taken.
    pub(crate) fn failure(&self) -> Option<F> {
        lock(&self.pipe.state).end.and_then(Result::err)
    }

    /// Whether the sender has begun to work.
    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.pipe.state).begun
    }

    /// Pulls the failure of the stream, if no item is left before it. Does not wait.
    pub(crate) fn pull_failure(&self) -> Option<F> {
        let mut state = lock(&self.pipe.state);
        let failure = state.end.filter(|_| state.items.is_empty())?.err()?;
        state.observed = true;
        Some(failure)
    }

    /// Whether the sender is known not to begin soon. The task is woken when this becomes true.
    pub(crate) fn is_delayed(&self) -> bool {
        self.pipe.is_delayed.load(Ordering::Relaxed)
    }

    /// A third handle on the pipe.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { pipe: Arc::clone(&self.pipe) }
    }
}

/// The next item, or the end once all items are taken. `None` while the sender may still push.
#[expect(clippy::option_option, reason = "the outer level is whether to wait, the inner one the end")]
fn take<T: Item, F: Copy>(state: &mut PipeState<T, F>) -> Option<Option<Result<T, F>>> {
    if let Some(item) = state.items.pop() {
        return Some(Some(Ok(item)));
    }
    match state.end? {
        Ok(()) => Some(None),
        Err(failure) => {
            state.observed = true;
            Some(Some(Err(failure)))
        }
    }
}

impl<T: Item, F> Drop for Receiver<T, F> {
    fn drop(&mut self) {
        if self.has_seen_end {
            return;
        }
        // Dropped outside the lock: destructors of items must not run under it.
        drop(self.pipe.change(|state| {
            // Closed under the lock, so that no sender finds the pipe open, then waits past the notification.
            self.pipe.close();
            std::mem::take(&mut state.items)
        }));
    }
}
