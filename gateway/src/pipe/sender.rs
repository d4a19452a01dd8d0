//! The end that pushes.
//!
//! Threads: `poll_…` on the runtime; `push…` on the pool, and blocks.

use std::task::{Context, Poll};
use std::time::Duration;

use super::{Closed, Item, Shared, State, Watch, release};
use crate::sync::{Arc, Countdown, MutexGuard, lock, wait_timeout};

/// The end that pushes.
#[derive(Debug)]
pub(crate) struct Sender<T: Item, F: Default + Copy> {
    pub(super) shared: Arc<Shared<T, F>>,
    /// The end was said, and need not be said again.
    has_ended: bool,
}

impl<T: Item, F: Default + Copy> Sender<T, F> {
    pub(super) fn new(shared: Arc<Shared<T, F>>) -> Self {
        Self { shared, has_ended: false }
    }

    /// Pushes an item, waiting for room. A receiver that takes nothing for as long as `stall` counts as gone: the pipe
    /// is closed, and the stream has failed.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn push(&self, item: T, stall: Duration) -> Result<(), Closed> {
        self.push_within(item, stall, Duration::MAX)
    }

    /// Pushes an item; see [`push`](Sender::push). Waits no longer than `most` in all, whatever the receiver takes
    /// meanwhile; then it counts as gone.
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
            drop(state);
            // The item is dropped outside the lock.
            return;
        }
        state.items.push(item);
        release(state);
    }

    /// How many bytes the receiver has not taken.
    pub(crate) fn held(&self) -> usize {
        lock(&self.shared.state).items.held()
    }

    /// Waits until no more than `bytes` are in the pipe. `stall` and `most` are those of
    /// [`push_within`](Sender::push_within).
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
        // The receiver starts it over, as a slow one is not one that has stopped.
        state.stall_timeout = Some(Countdown::new(stall));
        while !(self.shared.is_closed() || ready(&state)) {
            let stall_timeout = state.stall_timeout.as_mut().and_then(Countdown::left);
            let Some(left) = stall_timeout.zip(rest.left()).map(|(left, rest)| left.min(rest)) else {
                self.shared.close();
                state.end = Some(Err(F::default()));
                // Whoever else waits for the receiver to go waits no more.
                self.shared.thread.notify_all();
                break;
            };
            state.thread_waits = true;
            state = wait_timeout(&self.shared.thread, state, left).0;
        }
        state.stall_timeout = None;
        state
    }

    /// Pushes the only or last item and says that the stream is complete, in one step and with one wake-up. Never
    /// waits.
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
        // If nobody takes it, it is dropped here, outside the lock.
    }

    /// Pushes an item once there is room; takes it out of `item` then. If it is the last one, the stream is complete in
    /// the same step: nobody sees all items without the end.
    ///
    /// # Threads
    ///
    /// For the task.
    pub(crate) fn poll_push(&self, cx: &Context<'_>, item: &mut Option<T>, is_last: bool) -> Poll<Result<(), Closed>> {
        let mut state = lock(&self.shared.state);
        if self.shared.is_closed() || state.end.is_some() {
            return Poll::Ready(Err(Closed));
        }
        let Some(next) = item.take_if(|next| state.items.have_room(next, self.shared.limit)) else {
            if item.is_none() {
                return Poll::Ready(Ok(()));
            }
            let earlier = state.park_task(cx);
            drop(state);
            drop(earlier);
            return Poll::Pending;
        };
        state.items.push(next);
        if is_last {
            state.say_end(Ok(()));
        }
        let thread_waits = std::mem::take(&mut state.thread_waits);
        drop(state);
        if thread_waits {
            self.shared.thread.notify_all();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until the receiver has asked for something, or has gone. Says whether it has asked.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<bool> {
        self.poll_state(cx, |state| state.wanted || self.shared.is_closed() || state.end.is_some())
            .map(|()| lock(&self.shared.state).wanted)
    }

    /// Waits until nobody will read any more.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_state(cx, |state| self.shared.is_closed() || state.end.is_some())
    }

    fn poll_state(&self, cx: &Context<'_>, ready: impl Fn(&State<T, F>) -> bool) -> Poll<()> {
        let mut state = lock(&self.shared.state);
        if ready(&state) {
            return Poll::Ready(());
        }
        let earlier = state.park_task(cx);
        drop(state);
        drop(earlier);
        Poll::Pending
    }

    /// Says that the work has begun. False if it need not, because the receiver has gone.
    pub(crate) fn begin(&self) -> bool {
        let mut state = lock(&self.shared.state);
        state.begun = !self.shared.is_closed();
        state.begun
    }

    /// Whether the receiver has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// A handle that sees, from anywhere, whether the receiver has gone.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { shared: Arc::clone(&self.shared) }
    }

    /// Says that the stream is complete.
    pub(crate) fn finish(&mut self) {
        self.has_ended = true;
        self.end(Ok(()));
    }

    /// Says how the stream ended: what was pushed is delivered first. Only the first word counts.
    pub(crate) fn end(&self, end: Result<(), F>) {
        self.shared.end(end);
    }
}

/// The receiver has gone, by itself or for having stalled: nobody waits for what is left, which is dropped outside the
/// lock.
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
