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
//! * The thread waits on a condition variable, the task registers its waker. A waker is foreign code: it is
//!   cloned, called and dropped without the lock. A panic of its call is caught.
//!
//! Threads: both ends; the task never blocks.

#[cfg(all(test, gateway_loom))]
mod loom_tests;
#[cfg(all(test, not(gateway_loom)))]
mod tests;
mod items;
mod receiver;
mod sender;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) use self::items::Items;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::sender::Sender;
pub(crate) use self::watch::Watch;
use crate::catch_panic::catch_panic;
use crate::log;
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

/// The receiver has been dropped, or has counted as gone: no pushed item will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// An item that was not pushed, because the receiver is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotPushed<T>(pub(crate) T);

/// How long a thread waits for the receiver, and how the stream ends if the thread waits in vain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendTimeouts<F> {
    /// The time in which the receiver takes nothing.
    pub(crate) stall: (Duration, F),
    /// The whole wait.
    pub(crate) total: (Duration, F),
}

/// Makes a pipe that holds `limit` bytes. `F` is the failure of a stream; its default is the failure of a sender that
/// was dropped without stating an end, unless the sender has set another.
pub(crate) fn pipe<T: Item, F: Default + Copy>(limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    pipe_of(Items::default(), limit)
}

/// Makes a pipe that already holds `items`.
pub(crate) fn pipe_of<T: Item, F: Default + Copy>(items: Items<T>, limit: usize) -> (Sender<T, F>, Receiver<T, F>) {
    let shared = Arc::new(Pipe {
        state: Mutex::new(PipeState {
            items,
            end: None,
            is_complete: false,
            observed: false,
            begun: false,
            wanted: false,
            thread_waits: false,
            sender_waits: None,
            task: None,
        }),
        thread: Condvar::new(),
        closed: AtomicBool::new(false),
        is_delayed: AtomicBool::new(false),
        limit,
    });
    (
        Sender { pipe: Arc::clone(&shared), has_ended: false, if_dropped: F::default() },
        Receiver { pipe: shared, has_seen_end: false, was_polled: false },
    )
}

#[derive(Debug)]
struct Pipe<T: Item, F> {
    state: Mutex<PipeState<T, F>>,
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
struct PipeState<T: Item, F> {
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
    /// The thread waits for the receiver to take items.
    sender_waits: Option<SenderWait>,
    /// The waker to call on the next change.
    task: Option<Waker>,
}

#[derive(Debug)]
struct SenderWait {
    /// The wait ends once the pipe holds at most this many bytes: a wakeup costs more than many items.
    level: usize,
    /// The time left until the receiver counts as stalled. Each item that it takes restarts the time.
    stall: Countdown,
}

impl<T: Item, F> PipeState<T, F> {
    /// Sets the end of the stream, unless it is set: a later failure must not replace an end that was stated first.
    fn set_end(&mut self, end: Result<(), F>) {
        if self.end.is_none() {
            self.is_complete = end.is_ok();
            self.end = Some(end);
        }
    }

    /// The stream has ended and every item has been taken.
    fn is_over(&self) -> bool {
        self.end.is_some() && self.items.is_empty()
    }

    /// The receiver has taken an item. Returns whether to notify the thread.
    fn notifies_thread(&mut self) -> bool {
        if let Some(wait) = &mut self.sender_waits {
            wait.stall.restart();
            if self.items.held() > wait.level {
                return false;
            }
        }
        std::mem::take(&mut self.thread_waits)
    }
}

/// Releases the lock, then wakes the task: a waker may poll the task at once, and that poll takes this lock.
fn release<T: Item, F>(mut state: MutexGuard<'_, PipeState<T, F>>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task
        && let Err(panicked) = catch_panic(|| task.wake())
    {
        log::error!(error = %panicked, "the waker of a task panicked");
    }
}

impl<T: Item, F> Pipe<T, F> {
    /// Whether the receiver is gone. Under the lock the answer cannot change; outside it, `false` may be stale.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks the receiver as gone. The caller holds the lock, so that no thread checks `closed` and then misses the
    /// notification.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Changes the state under the lock, then wakes the task and the thread. `thread_waits` is taken under the lock: a
    /// thread that begins to wait later has seen the change.
    fn change<R>(&self, change: impl FnOnce(&mut PipeState<T, F>) -> R) -> R {
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
    fn wait<'a>(&self, mut state: MutexGuard<'a, PipeState<T, F>>) -> MutexGuard<'a, PipeState<T, F>> {
        state.thread_waits = true;
        wait(&self.thread, state)
    }

    /// Runs `check`, under the lock, until it returns something; `check` also returns whether to notify the thread.
    /// Registers the waker of the task under the lock of the last check, so that no change falls in between. A first
    /// poll is likely to wait, and so clones the waker before it takes the lock. Task only.
    fn poll<R>(
        &self,
        cx: &Context<'_>,
        is_first: bool,
        mut check: impl FnMut(&mut PipeState<T, F>) -> Option<(R, bool)>,
    ) -> Poll<R> {
        // Declared before the guards, hence dropped without the lock. After the swap it holds the previous waker.
        let mut waker = is_first.then(|| cx.waker().clone());
        loop {
            let mut state = lock(&self.state);
            if let Some((result, notifies_thread)) = check(&mut state) {
                drop(state);
                if notifies_thread {
                    self.thread.notify_all();
                }
                return Poll::Ready(result);
            }
            if state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if waker.is_some() {
                std::mem::swap(&mut state.task, &mut waker);
                return Poll::Pending;
            }
            drop(state);
            waker = Some(cx.waker().clone());
        }
    }

    fn end(&self, end: Result<(), F>) {
        self.change(|state| {
            state.set_end(end);
        });
    }
}
