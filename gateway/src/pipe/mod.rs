//! A bounded pipe between one pool thread and one task, for streams that are incomplete when they cross the hop.
//!
//! Both directions use it: the thread sends the response to the task, the task sends the request body to the thread.
//! The protocol is the same:
//!
//! * The sender pushes items, then **states** how the stream ended. A sender dropped without stating an end has failed;
//!   the receiver never infers a complete end.
//! * The limit counts bytes. An item is accepted if it fits or if the pipe is empty, so an item larger than the limit
//!   passes, and the pipe holds at most the limit or that one item.
//! * Dropping the receiver closes the pipe, which wakes every thread that waits in a push.
//! * The thread waits on a condition variable, the task registers its waker. Wakers run after the lock is released.
//!
//! Threads: both ends; the task never blocks.

#[cfg(all(test, gateway_loom))]
mod loom_tests;
mod items;
mod receiver;
mod sender;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

pub(crate) use self::items::Items;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::sender::Sender;
pub(crate) use self::watch::Watch;
use crate::sync::{Arc, Condvar, Countdown, Mutex, MutexGuard, lock, wait};

/// An item of a pipe.
pub(crate) trait Item: Sized {
    /// The size of the payload.
    fn bytes(&self) -> usize;

    /// Splits the front off an item that is too large to hand over at once. Each part taken is progress, which restarts
    /// the sender's stall timeout.
    fn split_front(&mut self) -> Option<Self> {
        None
    }
}

impl Item for bytes::Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The receiver has been dropped, or has counted as gone: no pushed item will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Makes a pipe that holds `limit` bytes. `F` is the failure of a stream; its default is the failure of a sender that
/// was dropped without stating an end.
pub(crate) fn pipe<T: Item, F: Default + Copy>(limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    pipe_of(Items::default(), limit)
}

/// Makes a pipe that already holds `items`.
pub(crate) fn pipe_of<T: Item, F: Default + Copy>(items: Items<T>, limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            items,
            end: None,
            is_complete: false,
            observed: false,
            begun: false,
            wanted: false,
            thread_waits: false,
            stall_timeout: None,
            task: None,
        }),
        thread: Condvar::new(),
        closed: AtomicBool::new(false),
        is_delayed: AtomicBool::new(false),
        limit,
    });
    (Sender::new(Arc::clone(&shared)), Receiver::new(shared))
}

#[derive(Debug)]
struct Shared<T, F> {
    state: Mutex<State<T, F>>,
    /// The thread waits here for room, for an item, or for the pipe to close.
    thread: Condvar,
    /// The receiver is gone. Stored under the lock; `Sender::is_closed` and `Watch::is_closed` read it without.
    closed: AtomicBool,
    /// The sender will not begin soon. Read on every poll, hence outside the lock; see `Watch::delay`.
    is_delayed: AtomicBool,
    limit: usize,
}

/// Read and written under the lock only.
#[derive(Debug)]
struct State<T, F> {
    items: Items<T>,
    /// How the stream ended. Items pushed before the end are delivered first.
    end: Option<Result<(), F>>,
    /// The sender has stated a complete end, even if the stream was abandoned later.
    is_complete: bool,
    /// The receiver has observed the failure.
    observed: bool,
    /// The sender has begun to work.
    begun: bool,
    /// The receiver has asked for an item at least once.
    wanted: bool,
    /// The thread waits on the condition variable: the next change has to notify it. Set under the lock that the wait
    /// releases, so that no change falls between the check and the wait.
    thread_waits: bool,
    /// Set while the thread waits for room: the time left until the receiver counts as stalled.
    stall_timeout: Option<Countdown>,
    /// The waker to call on the next change.
    task: Option<Waker>,
}

impl<T: Item, F> State<T, F> {
    /// Sets the end of the stream, unless it is set: a later failure must not replace an end that was stated first.
    fn say_end(&mut self, end: Result<(), F>) {
        if self.end.is_none() {
            self.is_complete = end.is_ok();
            self.end = Some(end);
        }
    }

    /// The stream has ended and every item has been taken.
    fn is_over(&self) -> bool {
        self.end.is_some() && self.items.is_empty()
    }

    /// Whether enough room is free to wake a thread that waits for room. A wakeup costs more than a push, so the thread
    /// is woken once for many chunks, not for each.
    fn is_drained(&self, limit: usize) -> bool {
        self.items.held() <= limit / 4
    }

    /// The receiver has taken an item. Returns whether the thread has to be notified.
    fn call_thread(&mut self, limit: usize) -> bool {
        if let Some(stall_timeout) = &mut self.stall_timeout {
            stall_timeout.restart();
            if !self.is_drained(limit) {
                return false;
            }
        }
        std::mem::take(&mut self.thread_waits)
    }

    /// Registers the task's waker for the next change. Returns the previous waker, to be dropped outside the lock:
    /// dropping a waker may run foreign code.
    #[must_use]
    fn park_task(&mut self, cx: &Context<'_>) -> Option<Waker> {
        if self.task.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return None;
        }
        self.task.replace(cx.waker().clone())
    }
}

/// Releases the lock, then wakes the task: a waker may poll the task at once, and that poll takes this lock.
fn release<T, F>(mut state: MutexGuard<'_, State<T, F>>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task {
        task.wake();
    }
}

impl<T, F> Shared<T, F> {
    /// Whether the receiver is gone. Under the lock the answer cannot change; outside it, `false` may be stale.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks the receiver as gone. The caller holds the lock, so that no thread checks `closed` and then misses the
    /// notification.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl<T: Item, F> Shared<T, F> {
    /// Changes the state under the lock, then wakes the task and the thread. `thread_waits` is taken under the lock: a
    /// thread that begins to wait later has seen the change.
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

    /// Waits for the next change. Callers check their condition under the same lock before each call. Thread only.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State<T, F>>) -> MutexGuard<'a, State<T, F>> {
        state.thread_waits = true;
        wait(&self.thread, state)
    }

    fn end(&self, end: Result<(), F>) {
        self.change(|state| {
            state.say_end(end);
        });
    }
}
