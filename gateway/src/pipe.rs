//! A bounded pipe between one pool thread and one task: the only way bytes cross the hop.
//!
//! Both directions use it. The response flows from the thread to the task, the request body from the task to the thread.
//! The protocol is the same both ways:
//!
//! * The sender pushes items, then **says** how the stream ended. A sender that is dropped without a word has failed; the end
//!   is never inferred.
//! * The room is counted in bytes. An item is let in when it fits or when the pipe is empty, so that one item larger than
//!   the limit passes and the memory held is at most the limit or that one item.
//! * A receiver that is dropped closes the pipe. Whoever waits in a push wakes at once.
//! * The thread waits on a condition variable, the task leaves its waker. Wakers run after the lock is released.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};

/// What a pipe carries: something whose size in bytes counts against the limit.
pub(crate) trait Item {
    fn bytes(&self) -> usize;
}

impl Item for bytes::Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The receiver is gone: nobody will read what is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Makes a pipe that holds `limit` bytes. `F` is what a failed stream ends with; its default stands for a sender that was
/// dropped without a word.
pub(crate) fn pipe<T: Item, F: Default>(limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            items: VecDeque::new(),
            held: 0,
            end: None,
            closed: false,
            wanted: false,
            thread_waits: false,
            task: None,
        }),
        thread: Condvar::new(),
        limit,
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

#[derive(Debug)]
struct Shared<T, F> {
    state: Mutex<State<T, F>>,
    /// Where the thread waits: for room, for an item, or for the receiver to go.
    thread: Condvar,
    limit: usize,
}

/// Everything below is exact under the lock.
#[derive(Debug)]
struct State<T, F> {
    items: VecDeque<T>,
    /// The bytes of `items`.
    held: usize,
    /// What the sender said about the end; items pushed before it are still delivered first.
    end: Option<Result<(), F>>,
    /// The receiver is gone.
    closed: bool,
    /// The receiver has asked for an item at least once.
    wanted: bool,
    /// The thread is about to wait, so a change is worth a notification.
    thread_waits: bool,
    /// The task to wake on the next change.
    task: Option<Waker>,
}

impl<T: Item, F> State<T, F> {
    fn has_room(&self, bytes: usize, limit: usize) -> bool {
        self.items.is_empty() || self.held.saturating_add(bytes) <= limit
    }

    fn push(&mut self, item: T) {
        self.held += item.bytes();
        self.items.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.held -= item.bytes();
        Some(item)
    }

    /// Leaves the task's waker for the next change.
    fn park_task(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// Gives the lock back, then wakes the task.
fn release<T, F>(mut state: MutexGuard<'_, State<T, F>>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task {
        task.wake();
    }
}

impl<T: Item, F> Shared<T, F> {
    /// Changes the state under the lock and wakes the other side after it.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, F>) -> R) -> R {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        let thread_waits = std::mem::take(&mut state.thread_waits);
        release(state);
        if thread_waits {
            self.thread.notify_all();
        }
        result
    }

    /// Waits for the next change. Only the thread calls this.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State<T, F>>) -> MutexGuard<'a, State<T, F>> {
        state.thread_waits = true;
        wait(&self.thread, state)
    }

    fn end(&self, end: Result<(), F>) {
        self.change(|state| {
            if state.end.is_none() {
                state.end = Some(end);
            }
        });
    }
}

/// The end that pushes.
#[derive(Debug)]
pub(crate) struct Sender<T: Item, F: Default> {
    shared: Arc<Shared<T, F>>,
}

impl<T: Item, F: Default> Sender<T, F> {
    /// Pushes an item, waiting for room, but not longer than `stall`. A receiver that takes longer counts as gone: the pipe is
    /// closed, and the stream has failed.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn push(&self, item: T, stall: Duration) -> Result<(), Closed> {
        let bytes = item.bytes();
        let mut state = lock(&self.shared.state);
        if !state.closed && !state.has_room(bytes, self.shared.limit) {
            state = self.wait_for_room(state, bytes, stall);
        }
        let closed = state.closed;
        if !closed {
            state.push(item);
        }
        release(state);
        if closed { Err(Closed) } else { Ok(()) }
    }

    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T, F>>,
        bytes: usize,
        stall: Duration,
    ) -> MutexGuard<'a, State<T, F>> {
        let start = Instant::now();
        while !state.closed && !state.has_room(bytes, self.shared.limit) {
            let left = stall.saturating_sub(start.elapsed());
            if left.is_zero() {
                state.closed = true;
                state.end = Some(Err(F::default()));
                // What waits was not taken in all that time; the task only has to hear of the end.
                state.items.clear();
                state.held = 0;
                break;
            }
            state.thread_waits = true;
            state = wait_timeout(&self.shared.thread, state, left);
        }
        state
    }

    /// Pushes the only or last item and says that the stream is complete, in one step and with one wake-up. Never waits.
    pub(crate) fn push_last(self, item: T) {
        self.shared.change(|state| {
            if !state.closed {
                state.push(item);
            }
            if state.end.is_none() {
                state.end = Some(Ok(()));
            }
        });
    }

    /// Pushes an item once there is room; takes it out of `item` then.
    ///
    /// # Threads
    ///
    /// For the task.
    pub(crate) fn poll_push(&self, cx: &Context<'_>, item: &mut Option<T>) -> Poll<Result<(), Closed>> {
        let mut state = lock(&self.shared.state);
        if state.closed || state.end.is_some() {
            return Poll::Ready(Err(Closed));
        }
        let Some(next) = item.take_if(|next| state.has_room(next.bytes(), self.shared.limit)) else {
            if item.is_none() {
                return Poll::Ready(Ok(()));
            }
            state.park_task(cx);
            return Poll::Pending;
        };
        state.push(next);
        let thread_waits = std::mem::take(&mut state.thread_waits);
        drop(state);
        if thread_waits {
            self.shared.thread.notify_all();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until the receiver has asked for something, or has gone.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_state(cx, |state| state.wanted || state.closed || state.end.is_some())
    }

    /// Waits until nobody will read any more.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_state(cx, |state| state.closed || state.end.is_some())
    }

    fn poll_state(&self, cx: &Context<'_>, ready: impl Fn(&State<T, F>) -> bool) -> Poll<()> {
        let mut state = lock(&self.shared.state);
        if ready(&state) {
            return Poll::Ready(());
        }
        state.park_task(cx);
        Poll::Pending
    }

    /// Whether the receiver has gone.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.shared.state).closed
    }

    /// A handle that sees, from anywhere, whether the receiver has gone.
    pub(crate) fn watch(&self) -> Watch<T, F> {
        Watch { shared: Arc::clone(&self.shared) }
    }

    /// Says that the stream is complete.
    pub(crate) fn finish(self) {
        self.end(Ok(()));
    }

    /// Says how the stream ended: what was pushed is delivered first. Only the first word counts.
    pub(crate) fn end(&self, end: Result<(), F>) {
        self.shared.end(end);
    }
}

impl<T: Item, F: Default> Drop for Sender<T, F> {
    fn drop(&mut self) {
        self.shared.end(Err(F::default()));
    }
}

/// The end that pulls. Dropping it closes the pipe.
#[derive(Debug)]
pub(crate) struct Receiver<T: Item, F> {
    shared: Arc<Shared<T, F>>,
}

impl<T: Item, F> Receiver<T, F> {
    /// Pulls the next item, waiting for it. `None` is a complete end; a failure is given once.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn pull(&self) -> Option<Result<T, F>> {
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
        release(state);
        item
    }

    /// Pulls the next item, if there is one; see [`pull`](Receiver::pull).
    ///
    /// # Threads
    ///
    /// For the task.
    pub(crate) fn poll_pull(&self, cx: &Context<'_>) -> Poll<Option<Result<T, F>>> {
        let mut state = lock(&self.shared.state);
        state.wanted = true;
        let Some(item) = take(&mut state) else {
            state.park_task(cx);
            return Poll::Pending;
        };
        let thread_waits = std::mem::take(&mut state.thread_waits);
        drop(state);
        if thread_waits {
            self.shared.thread.notify_all();
        }
        Poll::Ready(item)
    }
}

/// The next item, or the end once the items are out. `None` while the sender may still push.
#[expect(clippy::option_option, reason = "the outer level says whether there is news, the inner one what it is")]
fn take<T: Item, F>(state: &mut State<T, F>) -> Option<Option<Result<T, F>>> {
    if let Some(item) = state.pop() {
        return Some(Some(Ok(item)));
    }
    match state.end.take()? {
        Ok(()) => {
            state.end = Some(Ok(()));
            Some(None)
        }
        // A failure is handed over once; whoever asks again has been told.
        Err(failure) => {
            state.end = Some(Ok(()));
            Some(Some(Err(failure)))
        }
    }
}

impl<T: Item, F> Drop for Receiver<T, F> {
    fn drop(&mut self) {
        let unread = self.shared.change(|state| {
            state.closed = true;
            state.held = 0;
            std::mem::take(&mut state.items)
        });
        // Outside the lock: what the items free is not our business.
        drop(unread);
    }
}

/// A third handle on a pipe that neither pushes nor pulls.
#[derive(Debug)]
pub(crate) struct Watch<T, F> {
    shared: Arc<Shared<T, F>>,
}

impl<T: Item, F> Watch<T, F> {
    /// Whether the receiver has gone.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.shared.state).closed
    }

    /// Waits until the receiver has gone, but not longer than this. Says whether it has.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let start = Instant::now();
        let mut state = lock(&self.shared.state);
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            if state.closed || left.is_zero() {
                return state.closed;
            }
            state.thread_waits = true;
            state = wait_timeout(&self.shared.thread, state, left);
        }
    }

    /// Ends the stream with `failure`, unless the sender has already said how it ended.
    pub(crate) fn fail(&self, failure: F) {
        self.shared.end(Err(failure));
    }
}
