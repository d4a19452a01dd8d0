//! Where requests wait for a place in line; see [`Overload::Wait`](super::Overload::Wait).
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
    /// How many wait, for those who only ask whether anybody does.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Those who wait, by share and in order of arrival: a place is not for everybody where there are shares.
#[derive(Debug, Default)]
struct Queue {
    wakers: BTreeMap<(ShareId, u64), Waker>,
    next: u64,
}

/// One who waits, for as long as it does.
pub(super) struct Waiting<'r> {
    wait_list: &'r WaitList,
    place: (ShareId, u64),
}

impl WaitList {
    /// Joins those who wait.
    pub(super) fn wait(&self, share: ShareId) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let queue = &mut *lock(&self.queue);
        queue.next += 1;
        let place = (share, queue.next);
        queue.wakers.insert(place, Waker::noop().clone());
        Waiting { wait_list: self, place }
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// A place is free, or there are others than before, or there will be none any more: whoever is first looks again.
    pub(super) fn free(&self) {
        if !self.is_awaited() {
            return;
        }
        let firsts = lock(&self.queue).firsts();
        firsts.into_iter().for_each(Waker::wake);
    }
}

impl Waiting<'_> {
    /// Whether nobody has waited for longer. The task is woken when that, or anything else, changes.
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

    /// The first of each share.
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

/// Whoever is next may try.
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
