//! The end that pulls.
//!
//! Threads: `poll_…` on the runtime; `pull` on any, and blocks.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::{Item, Shared, State, Watch, release};
use crate::sync::{Arc, lock};

/// The end that pulls. Dropping it closes the pipe.
#[derive(Debug)]
pub(crate) struct Receiver<T: Item, F> {
    pub(super) shared: Arc<Shared<T, F>>,
    /// The sender has said the end, and all items were taken: there is nobody left to tell anything.
    has_seen_end: bool,
}

impl<T: Item, F> Receiver<T, F> {
    pub(super) fn new(shared: Arc<Shared<T, F>>) -> Self {
        Self { shared, has_seen_end: false }
    }
}

impl<T: Item, F: Copy> Receiver<T, F> {
    /// Pulls the next item, waiting for it. `None` is a complete end. The end, or the failure, is given again and
    /// again.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn pull(&mut self) -> Option<Result<T, F>> {
        let mut state = lock(&self.shared.state);
        if !state.wanted {
            state.wanted = true;
            // The task may be waiting for this very demand.
            release(state);
            state = lock(&self.shared.state);
        }
        let item = loop {
            match take(&mut state) {
                Some(item) => break item,
                None => state = self.shared.wait(state),
            }
        };
        self.has_seen_end = state.is_over();
        release(state);
        item
    }

    /// Pulls the next item, if there is one; see [`pull`](Receiver::pull).
    ///
    /// # Threads
    ///
    /// For the task.
    pub(crate) fn poll_pull(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T, F>>> {
        let mut state = lock(&self.shared.state);
        state.wanted = true;
        let Some(item) = take(&mut state) else {
            let earlier = state.park_task(cx);
            drop(state);
            drop(earlier);
            return Poll::Pending;
        };
        self.has_seen_end = state.is_over();
        let thread_waits = state.call_thread(self.shared.limit);
        drop(state);
        if thread_waits {
            self.shared.thread.notify_all();
        }
        Poll::Ready(item)
    }

    /// Closes the pipe, unless the sender has set to work. Says whether it is closed.
    pub(crate) fn close_unless_begun(&self) -> bool {
        let state = lock(&self.shared.state);
        if !state.begun {
            self.shared.close();
        }
        self.shared.is_closed()
    }

    /// Whether the sender has set to work.
    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.shared.state).begun
    }

    /// Whether the sender is known not to set to work soon. The task is woken when that becomes so.
    pub(crate) fn is_delayed(&self) -> bool {
        self.shared.is_delayed.load(Ordering::Relaxed)
    }

    /// A third handle on the pipe.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { shared: Arc::clone(&self.shared) }
    }
}

/// The next item, or the end once the items are out. `None` while the sender may still push.
#[expect(clippy::option_option, reason = "the outer level says whether there is news, the inner one what it is")]
fn take<T: Item, F: Copy>(state: &mut State<T, F>) -> Option<Option<Result<T, F>>> {
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
        let unread = self.shared.change(|state| {
            self.shared.close();
            std::mem::take(&mut state.items)
        });
        // Outside the lock: what the items free is not our business.
        drop(unread);
    }
}
