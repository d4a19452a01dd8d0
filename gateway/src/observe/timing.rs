//! What the thread tells the record of a request.
//!
//! Threads: any.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Written by the thread that runs the job, read by whoever speaks of the request when it is over.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    /// In nanoseconds, and one more, so that zero means that it has not come to that.
    waited: AtomicU64,
    ran: AtomicU64,
    is_late: AtomicBool,
}

impl Timing {
    /// The job begins, after so long in line.
    pub(crate) fn begun(&self, waited: Duration) {
        store(&self.waited, waited);
    }

    /// The application has ended, after so long.
    pub(crate) fn ended(&self, ran: Duration) {
        store(&self.ran, ran);
    }

    /// The deadline has passed, and the response is not complete.
    pub(crate) fn late(&self) {
        self.is_late.store(true, Ordering::Relaxed);
    }

    pub(crate) fn waited(&self) -> Option<Duration> {
        load(&self.waited)
    }

    pub(crate) fn ran(&self) -> Option<Duration> {
        load(&self.ran)
    }

    pub(crate) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

fn store(slot: &AtomicU64, duration: Duration) {
    slot.store(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
}

fn load(slot: &AtomicU64) -> Option<Duration> {
    slot.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos)
}
