//! A bounded pipe between one pool thread and one task, for all that is not complete when it crosses the hop.
//!
//! Both directions use it. The response flows from the thread to the task, the request body from the task to the
//! thread. The protocol is the same both ways:
//!
//! * The sender pushes items, then **says** how the stream ended. A sender that is dropped without a word has failed;
//!   the end is never inferred.
//! * The room is counted in bytes. An item is let in when it fits or when the pipe is empty, so that one item larger
//!   than the limit passes and the memory held is at most the limit or that one item.
//! * A receiver that is dropped closes the pipe. Whoever waits in a push wakes at once.
//! * The thread waits on a condition variable, the task leaves its waker. Wakers run after the lock is released.
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

/// What a pipe carries.
pub(crate) trait Item: Sized {
    /// Its payload.
    fn bytes(&self) -> usize;

    /// Takes the front off an item that is too large to hand on at once, so that a receiver shows that it makes
    /// progress.
    fn split_front(&mut self) -> Option<Self> {
        None
    }
}

impl Item for bytes::Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The receiver is gone: nobody will read what is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Makes a pipe that holds `limit` bytes. `F` is what a failed stream ends with; its default stands for a sender that
/// was dropped without a word.
pub(crate) fn pipe<T: Item, F: Default + Copy>(limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    pipe_of(Items::default(), limit)
}

/// Makes a pipe that has something in it from the start.
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
    /// Where the thread waits: for room, for an item, or for the receiver to go.
    thread: Condvar,
    /// The receiver is gone. Set under the lock; those who merely ask need not take it.
    closed: AtomicBool,
    /// The sender will not set to work soon. Not worth the lock for those who ask.
    is_delayed: AtomicBool,
    limit: usize,
}

/// Everything below is exact under the lock.
#[derive(Debug)]
struct State<T, F> {
    items: Items<T>,
    /// What the sender said about the end; items pushed before it are still delivered first.
    end: Option<Result<(), F>>,
    /// The sender has said that the stream is complete, even if it was abandoned after.
    is_complete: bool,
    /// The receiver has been told of the failure.
    observed: bool,
    /// The sender has set to work.
    begun: bool,
    /// The receiver has asked for an item at least once.
    wanted: bool,
    /// The thread is about to wait, so a change is worth a notification.
    thread_waits: bool,
    /// What it waits for is room, for so long after something was taken.
    stall_timeout: Option<Countdown>,
    /// The task to wake on the next change.
    task: Option<Waker>,
}

impl<T: Item, F> State<T, F> {
    /// The sender says how the stream ends. Only the first word counts.
    fn say_end(&mut self, end: Result<(), F>) {
        if self.end.is_none() {
            self.is_complete = end.is_ok();
            self.end = Some(end);
        }
    }

    /// Nothing more will come.
    fn is_over(&self) -> bool {
        self.end.is_some() && self.items.is_empty()
    }

    /// Whether so much is free that a thread which waits for room goes on. To wake it takes longer than to put a chunk
    /// in.
    fn is_drained(&self, limit: usize) -> bool {
        self.items.held() <= limit / 4
    }

    /// The receiver has taken something: whether the thread has to be notified.
    fn call_thread(&mut self, limit: usize) -> bool {
        if let Some(stall_timeout) = &mut self.stall_timeout {
            stall_timeout.restart();
            if !self.is_drained(limit) {
                return false;
            }
        }
        std::mem::take(&mut self.thread_waits)
    }

    /// Leaves the task's waker for the next change. Gives back the one that was there, to be dropped outside the lock.
    #[must_use]
    fn park_task(&mut self, cx: &Context<'_>) -> Option<Waker> {
        if self.task.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return None;
        }
        self.task.replace(cx.waker().clone())
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

impl<T, F> Shared<T, F> {
    /// Whether the receiver is gone. Exact under the lock.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The receiver is gone. Only under the lock.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
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
            state.say_end(end);
        });
    }
}
