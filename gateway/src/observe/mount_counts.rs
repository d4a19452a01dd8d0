//! How many requests a mount has had, for the status page.
//!
//! Threads: any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::observe::outcome::RequestOutcome;

/// The counts of one mount. They are independent, so `Relaxed` is enough.
#[derive(Debug)]
pub(crate) struct MountCounts {
    name: Arc<str>,
    /// Whether the pool of the mount lists it.
    is_listed: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
}

/// The figures of all mounts with one name, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountFigures {
    pub(crate) name: Arc<str>,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
}

/// Whether there is a status page.
static ARE_SHOWN: AtomicBool = AtomicBool::new(false);

/// Requests are counted from now on.
pub(crate) fn show() {
    ARE_SHOWN.store(true, Ordering::Relaxed);
}

/// Whether a status page shows the counts.
pub(crate) fn are_shown() -> bool {
    ARE_SHOWN.load(Ordering::Relaxed)
}

impl MountCounts {
    pub(crate) fn new(name: &str) -> Self {
        let (requests, errors) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { name: Arc::from(name), is_listed: AtomicBool::new(false), requests, errors }
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, outcome: RequestOutcome) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if matches!(outcome, RequestOutcome::Error | RequestOutcome::Aborted | RequestOutcome::Deadline) {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the caller has to list the mount: true once.
    pub(crate) fn claim_listing(&self) -> bool {
        // The load comes first: a `swap` for each request would move the cache line between the CPUs.
        !self.is_listed.load(Ordering::Relaxed) && !self.is_listed.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn figures(&self) -> MountFigures {
        MountFigures {
            name: Arc::clone(&self.name),
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}
