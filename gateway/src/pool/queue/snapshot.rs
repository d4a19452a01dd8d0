//! The figures of a pool, and its running jobs.
//!
//! Threads: any; takes the lock of the queue for a moment.

use std::time::Duration;

use crate::pool::admission_queue::{DEFAULT_SHARE, ShareId};
use crate::pool::queue::{Limits, Queue, QueueItem};
use crate::pool::thread_table::{CurrentJob, WorkerId};
use crate::sync::lock;

/// The figures of a pool, read in one critical section.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    pub(crate) busy: usize,
    pub(crate) queued: usize,
    pub(crate) reserved: usize,
    pub(crate) completed: u64,
    pub(crate) would_have_shed: u64,
    pub(crate) begun_here: u64,
    pub(crate) held: u64,
    /// Run time of a job, moving average.
    pub(crate) average: Duration,
    /// Whether a job of the share in question would be admitted.
    pub(crate) has_room: bool,
    pub(crate) closed: bool,
}

impl<T: QueueItem> Queue<T> {
    /// The figures of the pool, as seen from a share.
    pub(crate) fn snapshot(&self, share: ShareId) -> Snapshot {
        self.snapshot_with(share, |_, _| ()).0
    }

    /// The figures of the pool, as seen from a share, and `observe` of each running job, in one critical section.
    pub(crate) fn snapshot_with<R>(
        &self,
        share: ShareId,
        observe: impl Fn(WorkerId, &CurrentJob<T::Handle>) -> R,
    ) -> (Snapshot, Vec<R>) {
        let state = lock(&self.state);
        let counts = state.threads.counts();
        let running = state.threads.working().map(|(id, work)| observe(id, work)).collect();
        let snapshot = Snapshot {
            limits: state.limits.clone(),
            threads: counts.live + counts.driving_busy,
            busy: counts.busy + counts.driving_busy,
            queued: state.queue.queued(),
            reserved: state.queue.reserved(),
            completed: state.completed,
            would_have_shed: state.would_have_shed,
            begun_here: state.begun_here,
            held: state.held,
            average: state.concurrency.average(),
            has_room: state.takes_jobs() && (state.limits.report_only || state.queue.has_room(share)),
            closed: state.closed,
        };
        (snapshot, running)
    }

    /// `observe` of each running job, called under the lock.
    pub(crate) fn running<R>(&self, observe: impl Fn(WorkerId, &CurrentJob<T::Handle>) -> R) -> Vec<R> {
        self.snapshot_with(DEFAULT_SHARE, observe).1
    }
}
