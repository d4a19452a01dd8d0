//! The times of a job, written by its thread for the access record.
//!
//! Threads: any.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::metrics::RequestFigures;

/// Written by the thread that runs the job, read when the request is over. The values are independent, so `Relaxed`
/// is enough.
#[derive(Debug)]
pub(crate) struct Timing {
    figures: RequestFigures,
    /// Nanoseconds plus one; zero means that there is no value yet.
    waited: AtomicU64,
    ran: AtomicU64,
}

impl Timing {
    pub(crate) fn new(figures: RequestFigures) -> Self {
        Self { figures, waited: AtomicU64::new(0), ran: AtomicU64::new(0) }
    }

    /// The figures of the request.
    pub(crate) fn figures(&self) -> &RequestFigures {
        &self.figures
    }

    /// The job begins after this time in the queue.
    pub(crate) fn set_waited(&self, waited: Duration) {
        store(&self.waited, waited);
    }

    /// The application has ended after this time.
    pub(crate) fn set_ran(&self, ran: Duration) {
        store(&self.ran, ran);
    }

    pub(crate) fn waited(&self) -> Option<Duration> {
        load(&self.waited)
    }

    pub(crate) fn ran(&self) -> Option<Duration> {
        load(&self.ran)
    }
}

fn store(slot: &AtomicU64, duration: Duration) {
    slot.store(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
}

fn load(slot: &AtomicU64) -> Option<Duration> {
    slot.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos)
}
