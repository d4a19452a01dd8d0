//! The locks of the crate, in one place.

use std::time::Duration;

pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Locks, whether or not a thread panicked while it held the lock.
///
/// No lock of this crate is ever held while an application runs, and every critical section leaves the data whole, so
/// poison carries no news.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for a notification or until the time is up, with the same rule about poison as [`lock`]. Says whether it was the time.
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
) -> (MutexGuard<'a, T>, bool) {
    let (guard, result) = condvar.wait_timeout(guard, timeout).unwrap_or_else(std::sync::PoisonError::into_inner);
    (guard, result.timed_out())
}

/// Waits for a notification, with the same rule about poison as [`lock`].
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
}
