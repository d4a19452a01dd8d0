//! A handle beside the two ends.
//!
//! Threads: any; `wait_closed_unless` blocks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Item, Pipe};
use crate::sync::{Arc, Countdown, lock, wait_timeout};

/// A third handle on a pipe, which neither pushes nor pulls.
#[derive(Debug)]
pub(crate) struct Watch<T: Item, F> {
    pub(super) pipe: Arc<Pipe<T, F>>,
}

impl<T: Item, F> Clone for Watch<T, F> {
    fn clone(&self) -> Self {
        Self { pipe: Arc::clone(&self.pipe) }
    }
}

impl<T: Item, F: Copy + Default> Watch<T, F> {
    /// Closes the pipe and fails the stream: each side counts as gone to the other. A sender that has not begun finds
    /// the pipe closed, and states the end itself: it alone knows that it never began. A stream whose complete end was
    /// stated keeps its items: without them it would look complete.
    pub(crate) fn cut(&self) {
        // Dropped outside the lock: destructors of items must not run under it.
        drop(self.pipe.change(|state| {
            self.pipe.close();
            match state.end {
                Some(Ok(())) => return None,
                None if state.begun => state.end = Some(Err(F::default())),
                _ => {}
            }
            Some(std::mem::take(&mut state.items))
        }));
    }

    /// Tells the task that the sender will not begin soon.
    pub(crate) fn delay(&self) {
        if !self.pipe.is_delayed.swap(true, Ordering::Relaxed) {
            // The task registers its waker under the lock, then reads the flag. The flag is stored before this lock is
            // taken: either the task reads it, or `notify` finds the waker.
            self.notify();
        }
    }

    /// Whether the sender has stated a complete end, even if the stream was abandoned later.
    pub(crate) fn is_complete(&self) -> bool {
        lock(&self.pipe.state).is_complete
    }

    /// Whether the receiver has asked for an item at least once.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.pipe.state).wanted
    }

    /// The failure that the receiver has observed.
    pub(crate) fn observed(&self) -> Option<F> {
        let state = lock(&self.pipe.state);
        if state.observed { state.end.and_then(Result::err) } else { None }
    }

    /// Ends the stream with `failure`, whatever end was stated. Items in the pipe are not delivered.
    pub(crate) fn abandon(&self, failure: F) {
        // Dropped outside the lock: destructors of items must not run under it.
        drop(self.pipe.change(|state| {
            state.end = Some(Err(failure));
            std::mem::take(&mut state.items)
        }));
    }

    /// Waits for at most `timeout` until the receiver is gone, or `is_over`. Returns whether the receiver is gone.
    /// After a change of `is_over`, call [`notify`](Watch::notify).
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn wait_closed_unless(&self, timeout: Duration, is_over: impl Fn() -> bool) -> bool {
        let mut timeout = Countdown::new(timeout);
        let mut state = lock(&self.pipe.state);
        loop {
            // `closed` is stored under this lock, which the wait releases: no close falls between this check and the
            // wait.
            if self.pipe.is_closed() {
                return true;
            }
            // `is_over` changes outside this lock, but `notify` takes the lock afterwards. If that is before this
            // check, the check sees the change. If later, the wait has released the lock, and is notified.
            if is_over() {
                return false;
            }
            let Some(left) = timeout.left() else {
                return false;
            };
            state.thread_waits = true;
            state = wait_timeout(&self.pipe.thread, state, left).0;
        }
    }

    /// Has a thread in [`wait_closed_unless`](Watch::wait_closed_unless) check its condition.
    pub(crate) fn notify(&self) {
        self.pipe.change(|_| ());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pipe.is_closed()
    }

    /// Ends the stream with `failure`, unless an end was stated.
    pub(crate) fn fail(&self, failure: F) {
        self.pipe.end(Err(failure));
    }
}

#[cfg(all(test, gateway_loom))]
mod loom_tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    use crate::models::assert_outcomes;
    use crate::pipe::{Item, pipe};
    use crate::sync::Arc;

    struct Nothing;

    impl Item for Nothing {
        fn bytes(&self) -> usize {
            0
        }
    }

    /// A lost notification would be a deadlock: the wait has no timeout.
    #[test]
    fn a_thread_sees_the_change_that_it_is_notified_of() {
        assert_outcomes(&[false], || {
            let (_sender, receiver) = pipe::<Nothing, ()>(0);
            let is_over = Arc::new(AtomicBool::new(false));
            let (waits, seen) = (receiver.watch(), Arc::clone(&is_over));
            let thread =
                thread::spawn(move || waits.wait_closed_unless(Duration::MAX, || seen.load(Ordering::Acquire)));
            is_over.store(true, Ordering::Release);
            receiver.watch().notify();
            thread.join().unwrap()
        });
    }
}
