//! Requests that wait for a place in the queue; see [`Overload::Wait`](super::Overload::Wait).
//!
//! Threads: any; takes a lock for a moment.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use crate::pool::admission_queue::ShareId;
use crate::sync::{Mutex, lock};

#[derive(Debug, Default)]
pub(super) struct WaitList {
    /// How many requests wait, to be read without the lock. At least the number of wakers: it is raised before a waker
    /// is stored, and lowered after it is removed.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Wakers of the waiting requests, by share and in order of arrival: a free place may be of use to one share only.
#[derive(Debug, Default)]
struct Queue {
    wakers: BTreeMap<(ShareId, u64), Waker>,
    next: u64,
}

/// A waiting request; dropped when it stops waiting.
pub(super) struct Waiting<'r> {
    wait_list: &'r WaitList,
    place: (ShareId, u64),
}

impl WaitList {
    /// Adds a request to the list.
    pub(super) fn wait(&self, share: ShareId) -> Waiting<'_> {
        // Before the request tries to push. The lock of the pool's queue orders that attempt and the end of a job:
        // either the attempt finds the place, or the `free` after that end reads a count above 0.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let queue = &mut *lock(&self.queue);
        queue.next += 1;
        let place = (share, queue.next);
        queue.wakers.insert(place, Waker::noop().clone());
        Waiting { wait_list: self, place }
    }

    /// Whether any request waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Wakes the first request of each share. Called after a place became free, the limits changed or the pool closed.
    pub(super) fn free(&self) {
        if !self.is_awaited() {
            return;
        }
        // Cloned under the lock and woken outside it: a waker is foreign code.
        let firsts = lock(&self.queue).firsts();
        firsts.into_iter().for_each(Waker::wake);
    }
}

impl Waiting<'_> {
    /// Whether this request is the first of its share. Stores the waker before the caller checks for a place, so that a
    /// place that becomes free after the check wakes the task.
    pub(super) fn is_first(&self, cx: &Context<'_>) -> bool {
        let queue = &mut *lock(&self.wait_list.queue);
        queue.wakers.insert(self.place, cx.waker().clone());
        queue.first(self.place.0) == Some(self.place)
    }
}

impl Queue {
    fn first(&self, share: ShareId) -> Option<(ShareId, u64)> {
        self.wakers.range((share, 0)..=(share, u64::MAX)).next().map(|(place, _)| *place)
    }

    /// The waker of the first request of each share.
    fn firsts(&self) -> Vec<Waker> {
        let mut firsts = Vec::new();
        let mut next = self.wakers.first_key_value();
        while let Some((&(share, _), waker)) = next {
            firsts.push(waker.clone());
            next = self.wakers.range((Bound::Excluded((share, u64::MAX)), Bound::Unbounded)).next();
        }
        firsts
    }
}

/// Wakes the next request of the share: this one may have been woken for a place and dropped before it took it, and the
/// wakeup would be lost.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let next = {
            let queue = &mut *lock(&self.wait_list.queue);
            queue.wakers.remove(&self.place);
            queue.first(self.place.0).and_then(|next| queue.wakers.get(&next).cloned())
        };
        self.wait_list.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some(next) = next {
            next.wake();
        }
    }
}
