//! The locks of the crate.
//!
//! With `--cfg gateway_loom` they are loom's, so that the models, in files called `loom_tests.rs`, can try every order
//! of events. Code that hands values over between threads takes its primitives from here. Code that only shares a value
//! uses `std::sync::Arc`, which can also hold a `dyn`.
//!
//! Threads: any; blocks.

#[cfg(gateway_loom)]
pub(crate) use self::modelled::*;
#[cfg(not(gateway_loom))]
pub(crate) use self::native::*;

#[cfg(not(gateway_loom))]
mod native {
    pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    /// Locks, whether or not a thread panicked while it held the lock.
    ///
    /// No lock of this crate is held while an application runs, and every critical section leaves the data consistent,
    /// so that poison is ignored.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a notification or the timeout, and ignores poison as [`lock`] does. Returns whether the timeout
    /// passed; the state may change between the timeout and the lock, so check it in either case.
    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        let (guard, result) = condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner);
        (guard, result.timed_out())
    }

    /// Waits for a notification, and ignores poison as [`lock`] does. May wake spuriously.
    pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// A timeout for a wait of more than one round: spurious wakeups do not extend it.
    #[derive(Debug)]
    pub(crate) struct Countdown {
        limit: Duration,
        start: Instant,
    }

    impl Countdown {
        /// Starts now.
        pub(crate) fn new(limit: Duration) -> Self {
            Self { limit, start: Instant::now() }
        }

        /// Starts over.
        pub(crate) fn restart(&mut self) {
            self.start = Instant::now();
        }

        /// How long the next round may take. `None` after the timeout.
        pub(crate) fn left(&mut self) -> Option<Duration> {
            self.left_at(Instant::now())
        }

        /// As [`left`](Self::left), without a read of the clock.
        pub(crate) fn left_at(&mut self, now: Instant) -> Option<Duration> {
            let left = self.limit.saturating_sub(now.saturating_duration_since(self.start));
            (!left.is_zero()).then_some(left)
        }
    }
}

/// The same names under loom, which schedules the threads and has no clock.
///
/// A timeout of `Duration::MAX` is none: that wait needs its notification, and a lost notification deadlocks the model.
/// Any other timeout may pass at any moment. It lasts for one round, in which other threads may take the lock any
/// number of times.
#[cfg(gateway_loom)]
mod modelled {
    pub(crate) use loom::sync::{Arc, Condvar};

    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// loom's guard, and its lock, which `wait_timeout` takes again.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        guard: loom::sync::MutexGuard<'a, T>,
        mutex: &'a Mutex<T>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        MutexGuard { guard: mutex.0.lock().unwrap_or_else(PoisonError::into_inner), mutex }
    }

    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        if timeout == Duration::MAX {
            return (wait(condvar, guard), false);
        }
        let mutex = guard.mutex;
        drop(guard);
        (lock(mutex), true)
    }

    pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let MutexGuard { guard, mutex } = guard;
        MutexGuard { guard: condvar.wait(guard).unwrap_or_else(PoisonError::into_inner), mutex }
    }

    #[derive(Debug)]
    pub(crate) struct Countdown {
        limit: Duration,
        rounds: usize,
    }

    impl Countdown {
        pub(crate) fn new(limit: Duration) -> Self {
            let mut new = Self { limit, rounds: 0 };
            new.restart();
            new
        }

        pub(crate) fn restart(&mut self) {
            self.rounds = match self.limit {
                Duration::ZERO => 0,
                Duration::MAX => usize::MAX,
                _ => 1,
            };
        }

        pub(crate) fn left(&mut self) -> Option<Duration> {
            self.rounds = self.rounds.checked_sub(1)?;
            Some(self.limit)
        }

        pub(crate) fn left_at(&mut self, _: Instant) -> Option<Duration> {
            self.left()
        }
    }
}
