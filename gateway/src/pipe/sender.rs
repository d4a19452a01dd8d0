//! The sending end of a pipe.
//!
//! Threads: `poll_…` on the runtime; `push…` on the pool, and blocks.

use std::task::{Context, Poll};

use super::items::weight;
use super::{Closed, Item, NotPushed, Pipe, PipeState, SendTimeouts, SenderWait, Watch, release};
use crate::sync::{Arc, Countdown, MutexGuard, lock, wait_timeout};

/// The sending end of a pipe. Dropping it before an end was stated fails the stream.
#[derive(Debug)]
pub(crate) struct Sender<T: Item, F: Default + Copy> {
    pub(super) pipe: Arc<Pipe<T, F>>,
    /// The end was stated: the drop need not state one.
    pub(super) has_ended: bool,
    /// The failure that the drop states.
    pub(super) if_dropped: F,
}

impl<T: Item, F: Default + Copy> Sender<T, F> {
    /// Pushes an item and waits for room. After a timeout the receiver counts as gone: the pipe closes, and the stream
    /// has failed. A closed pipe returns the item, so that the caller knows that it was not sent.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn push(&self, item: T, timeouts: SendTimeouts<F>) -> Result<(), NotPushed<T>> {
        let mut state = lock(&self.pipe.state);
        let limit = self.pipe.limit;
        if !self.pipe.is_closed() && !state.items.have_room(&item, limit) {
            // An empty pipe has room for any item. A wait ends late, so that one wakeup serves many items.
            let level = limit.saturating_sub(weight(&item)).min(limit / 4);
            state = self.wait_drained_to(level, state, timeouts);
        }
        // Checked after the wait and under the lock: nothing would take an item out of a closed pipe.
        if self.pipe.is_closed() {
            discard(state);
            return Err(NotPushed(item));
        }
        state.items.push(item);
        release(state);
        Ok(())
    }

    /// Pushes an item without waiting for room. For items without a payload.
    pub(crate) fn push_free(&self, item: T) {
        self.push_at_once(item, false);
    }

    /// Pushes the last item and states a complete end in one step, with one wakeup. Never waits.
    pub(crate) fn push_last(&mut self, item: T) {
        self.has_ended = true;
        self.push_at_once(item, true);
    }

    fn push_at_once(&self, item: T, is_last: bool) {
        // An item that a closed pipe does not accept is dropped at the end, outside the lock.
        let mut item = Some(item);
        self.pipe.change(|state| {
            if !self.pipe.is_closed()
                && let Some(item) = item.take()
            {
                state.items.push(item);
            }
            if is_last {
                state.set_end(Ok(()));
            }
        });
    }

    /// The bytes in the pipe.
    pub(crate) fn held(&self) -> usize {
        lock(&self.pipe.state).items.held()
    }

    /// Waits until the pipe holds at most `bytes`; see [`push`](Sender::push).
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_drained(&self, bytes: usize, timeouts: SendTimeouts<F>) -> Result<(), Closed> {
        let state = self.wait_drained_to(bytes, lock(&self.pipe.state), timeouts);
        if self.pipe.is_closed() { Err(discard(state)) } else { Ok(()) }
    }

    fn wait_drained_to<'a>(
        &'a self,
        level: usize,
        mut state: MutexGuard<'a, PipeState<T, F>>,
        timeouts: SendTimeouts<F>,
    ) -> MutexGuard<'a, PipeState<T, F>> {
        let mut total = Countdown::new(timeouts.total.0);
        state.sender_waits = Some(SenderWait { level, stall: Countdown::new(timeouts.stall.0) });
        // After a timeout the level is checked once more, so that an item taken during the timeout counts.
        while !self.pipe.is_closed() && state.items.held() > level {
            let stall = state.sender_waits.as_mut().and_then(|wait| wait.stall.left());
            let (Some(stall), Some(total)) = (stall, total.left()) else {
                // Under the lock of the check: either the receiver has made room before, or it observes the failure.
                // The caller's `release` wakes the task.
                self.pipe.close();
                state.end = Some(Err(if stall.is_none() { timeouts.stall.1 } else { timeouts.total.1 }));
                // Threads that wait for the receiver to go wait on the same condition variable.
                self.pipe.thread.notify_all();
                break;
            };
            // Set under the lock that the wait releases: the receiver cannot take an item unnoticed in between.
            state.thread_waits = true;
            state = wait_timeout(&self.pipe.thread, state, stall.min(total)).0;
        }
        state.sender_waits = None;
        state
    }

    /// Takes the item out of `item` and pushes it once there is room. With `is_last`, the complete end is stated under
    /// the same lock: the receiver never sees the last item without the end.
    ///
    /// # Threads
    ///
    /// Task only.
    pub(crate) fn poll_push(
        &mut self,
        cx: &Context<'_>,
        item: &mut Option<T>,
        is_last: bool,
    ) -> Poll<Result<(), Closed>> {
        let pushed = self.pipe.poll(cx, false, |state| {
            if self.pipe.is_closed() || state.end.is_some() {
                return Some((Err(Closed), false));
            }
            let Some(next) = item.take_if(|next| state.items.have_room(next, self.pipe.limit)) else {
                return item.is_none().then_some((Ok(()), false));
            };
            state.items.push(next);
            if is_last {
                state.set_end(Ok(()));
            }
            // Taken under the lock: a thread that begins to wait later has seen the item.
            Some((Ok(()), std::mem::take(&mut state.thread_waits)))
        });
        self.has_ended |= is_last && pushed == Poll::Ready(Ok(()));
        pushed
    }

    /// Waits until the receiver asks for an item or the pipe is over. Returns whether it has asked.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<bool> {
        self.pipe.poll(cx, false, |state| {
            let is_over = self.pipe.is_closed() || state.end.is_some();
            (state.wanted || is_over).then_some((state.wanted, false))
        })
    }

    /// Waits until the receiver is gone or the stream has ended.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.pipe.poll(cx, false, |state| (self.pipe.is_closed() || state.end.is_some()).then_some(((), false)))
    }

    /// States that the work begins. Returns false if the receiver is gone. Exclusive with
    /// [`close_unless_begun`](super::Receiver::close_unless_begun) by the lock: a job either begins or expires.
    pub(crate) fn begin(&self) -> bool {
        let mut state = lock(&self.pipe.state);
        state.begun = !self.pipe.is_closed();
        state.begun
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pipe.is_closed()
    }

    /// A handle on the pipe for any thread.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { pipe: Arc::clone(&self.pipe) }
    }

    /// States how the stream ended. Items pushed before are delivered first. Only the first end counts.
    pub(crate) fn end(&mut self, end: Result<(), F>) {
        self.has_ended = true;
        self.pipe.end(end);
    }

    /// Sets the failure of a sender that is dropped without stating an end.
    pub(crate) fn set_failure_if_dropped(&mut self, failure: F) {
        self.if_dropped = failure;
    }

    /// Fails the stream, unless the receiver is gone or an end was stated. Calls `count` if this has failed it, before
    /// the receiver can observe the failure. One lock guards this check and
    /// [`close_unless_begun`](super::Receiver::close_unless_begun): only one of the two ends a stream that has not
    /// begun.
    pub(crate) fn fail_unless_closed(&self, failure: F, count: impl FnOnce()) {
        self.pipe.change(|state| {
            if !self.pipe.is_closed() && state.end.is_none() {
                state.set_end(Err(failure));
                count();
            }
        });
    }
}

/// The receiver is gone or has stalled. Drops the items outside the lock, and wakes the task to observe a stall.
fn discard<T: Item, F>(mut state: MutexGuard<'_, PipeState<T, F>>) -> Closed {
    let unread = std::mem::take(&mut state.items);
    release(state);
    drop(unread);
    Closed
}

impl<T: Item, F: Default + Copy> Drop for Sender<T, F> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.pipe.end(Err(self.if_dropped));
        }
    }
}
