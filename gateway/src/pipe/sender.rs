//! The sending end of a pipe.
//!
//! Threads: `poll_…` on the runtime; `push…` on the pool, and blocks.

use std::task::{Context, Poll};
use std::time::Duration;

use super::{Closed, Item, Shared, State, Watch, release};
use crate::sync::{Arc, Countdown, MutexGuard, lock, wait_timeout};

/// The sending end of a pipe. Dropping it before an end was stated fails the stream.
#[derive(Debug)]
pub(crate) struct Sender<T: Item, F: Default + Copy> {
    pub(super) shared: Arc<Shared<T, F>>,
    /// The end was stated: the drop need not state one.
    has_ended: bool,
}

impl<T: Item, F: Default + Copy> Sender<T, F> {
    pub(super) fn new(shared: Arc<Shared<T, F>>) -> Self {
        Self { shared, has_ended: false }
    }

    /// Pushes an item and waits for room. If the receiver takes nothing for `stall`, it counts as gone: the pipe
    /// closes, and the stream has failed.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn push(&self, item: T, stall: Duration) -> Result<(), Closed> {
        self.push_within(item, stall, Duration::MAX)
    }

    /// Pushes an item; see [`push`](Sender::push). The wait lasts at most `most` in total, even if the receiver takes
    /// items; then the receiver counts as gone.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn push_within(&self, item: T, stall: Duration, most: Duration) -> Result<(), Closed> {
        let mut state = lock(&self.shared.state);
        let limit = self.shared.limit;
        if !self.shared.is_closed() && !state.items.have_room(&item, limit) {
            let has_room = |state: &State<T, F>| state.is_drained(limit) && state.items.have_room(&item, limit);
            state = self.wait_until(has_room, state, stall, most);
        }
        // Checked after the wait and under the lock: nothing would take an item out of a closed pipe.
        if self.shared.is_closed() {
            return Err(discard(state));
        }
        state.items.push(item);
        release(state);
        Ok(())
    }

    /// Pushes an item without waiting for room. For items without a payload.
    pub(crate) fn push_free(&self, item: T) {
        let mut state = lock(&self.shared.state);
        if self.shared.is_closed() {
            // The lock is released before `item` is dropped: destructors must not run under the lock.
            drop(state);
            return;
        }
        state.items.push(item);
        release(state);
    }

    /// The bytes in the pipe.
    pub(crate) fn held(&self) -> usize {
        lock(&self.shared.state).items.held()
    }

    /// Waits until the pipe holds at most `bytes`. `stall` and `most` as in [`push_within`](Sender::push_within).
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_drained(&self, bytes: usize, stall: Duration, most: Duration) -> Result<(), Closed> {
        let state = lock(&self.shared.state);
        let state = self.wait_until(|state| state.items.held() <= bytes, state, stall, most);
        if self.shared.is_closed() { Err(discard(state)) } else { Ok(()) }
    }

    fn wait_until<'a>(
        &'a self,
        ready: impl Fn(&State<T, F>) -> bool,
        mut state: MutexGuard<'a, State<T, F>>,
        stall: Duration,
        most: Duration,
    ) -> MutexGuard<'a, State<T, F>> {
        let mut rest = Countdown::new(most);
        // The receiver restarts this countdown with each item it takes: a slow receiver has not stalled.
        state.stall_timeout = Some(Countdown::new(stall));
        // After a timeout `ready` is checked once more, so that an item taken during the timeout counts.
        while !(self.shared.is_closed() || ready(&state)) {
            let stall_timeout = state.stall_timeout.as_mut().and_then(Countdown::left);
            let Some(left) = stall_timeout.zip(rest.left()).map(|(left, rest)| left.min(rest)) else {
                // Under the lock of the check: either the receiver has made room before, or it observes the failure.
                // The caller's `release` wakes the task.
                self.shared.close();
                state.end = Some(Err(F::default()));
                // Threads that wait for the receiver to go wait on the same condition variable.
                self.shared.thread.notify_all();
                break;
            };
            // Set under the lock that the wait releases: the receiver cannot take an item unnoticed in between.
            state.thread_waits = true;
            state = wait_timeout(&self.shared.thread, state, left).0;
        }
        state.stall_timeout = None;
        state
    }

    /// Pushes the last item and states a complete end in one step, with one wakeup. Never waits.
    pub(crate) fn push_last(&mut self, item: T) {
        self.has_ended = true;
        let mut item = Some(item);
        self.shared.change(|state| {
            if !self.shared.is_closed()
                && let Some(item) = item.take()
            {
                state.items.push(item);
            }
            state.say_end(Ok(()));
        });
        // An item that a closed pipe did not accept is dropped here, outside the lock.
    }

    /// Takes the item out of `item` and pushes it once there is room. With `is_last`, the complete end is stated under
    /// the same lock: the receiver never sees the last item without the end.
    ///
    /// # Threads
    ///
    /// Task only.
    pub(crate) fn poll_push(&self, cx: &Context<'_>, item: &mut Option<T>, is_last: bool) -> Poll<Result<(), Closed>> {
        let mut state = lock(&self.shared.state);
        if self.shared.is_closed() || state.end.is_some() {
            return Poll::Ready(Err(Closed));
        }
        let Some(next) = item.take_if(|next| state.items.have_room(next, self.shared.limit)) else {
            if item.is_none() {
                return Poll::Ready(Ok(()));
            }
            // Registered under the lock of the check: an item taken afterwards finds the waker. The lock is
            // released before the previous waker is dropped.
            let earlier = state.park_task(cx);
            drop(state);
            drop(earlier);
            return Poll::Pending;
        };
        state.items.push(next);
        if is_last {
            state.say_end(Ok(()));
        }
        // Taken under the lock: a thread that begins to wait later has seen the item.
        let thread_waits = std::mem::take(&mut state.thread_waits);
        drop(state);
        if thread_waits {
            self.shared.thread.notify_all();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until the receiver asks for an item or the pipe is over. Returns whether it has asked.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<bool> {
        self.poll_state(cx, |state| state.wanted || self.shared.is_closed() || state.end.is_some())
            .map(|()| lock(&self.shared.state).wanted)
    }

    /// Waits until the receiver is gone or the stream has ended.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_state(cx, |state| self.shared.is_closed() || state.end.is_some())
    }

    fn poll_state(&self, cx: &Context<'_>, ready: impl Fn(&State<T, F>) -> bool) -> Poll<()> {
        let mut state = lock(&self.shared.state);
        if ready(&state) {
            return Poll::Ready(());
        }
        // Registered under the lock of the check, so that no change falls in between.
        let earlier = state.park_task(cx);
        drop(state);
        drop(earlier);
        Poll::Pending
    }

    /// States that the work begins. Returns false if the receiver is gone. Exclusive with
    /// [`close_unless_begun`](super::Receiver::close_unless_begun) by the lock: a job either begins or expires.
    pub(crate) fn begin(&self) -> bool {
        let mut state = lock(&self.shared.state);
        state.begun = !self.shared.is_closed();
        state.begun
    }

    /// Whether the receiver is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// A handle on the pipe for any thread.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { shared: Arc::clone(&self.shared) }
    }

    /// States a complete end.
    pub(crate) fn finish(&mut self) {
        self.has_ended = true;
        self.end(Ok(()));
    }

    /// States how the stream ended. Items pushed before are delivered first. Only the first end counts.
    pub(crate) fn end(&self, end: Result<(), F>) {
        self.shared.end(end);
    }
}

/// The receiver is gone or has stalled. Drops the items outside the lock, and wakes the task to observe a stall.
fn discard<T: Item, F>(mut state: MutexGuard<'_, State<T, F>>) -> Closed {
    let unread = std::mem::take(&mut state.items);
    release(state);
    drop(unread);
    Closed
}

impl<T: Item, F: Default + Copy> Drop for Sender<T, F> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.end(Err(F::default()));
        }
    }
}
