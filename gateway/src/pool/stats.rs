//! The figures of a pool.
//!
//! Threads: any; takes the lock of the queue for a moment.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::observe::mount_counts::{MountCounts, MountFigures};
use crate::pool::Pool;
use crate::pool::queue::Snapshot;
use crate::pool::thread_table::WorkerId;
use crate::sync::lock;

/// The figures of a [`Pool`](crate::Pool). Created by [`Pool::stats`](crate::Pool::stats).
///
/// # Example
///
/// ```
/// use gateway::Pool;
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(8).queue(32).build()?;
/// let stats = pool.stats();
/// assert_eq!((stats.busy, stats.queued, stats.queue_limit), (0, 0, 32));
/// assert!(stats.has_room && !stats.is_draining);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of threads.
    pub threads: usize,
    /// The maximum number of threads.
    pub max_threads: usize,
    /// Threads that run a job.
    pub busy: usize,
    /// Threads without a job.
    pub idle: usize,
    /// Busy threads whose job has run for longer than [`stuck_after`](crate::PoolBuilder::stuck_after).
    pub stuck: usize,
    /// Busy threads whose client has disconnected. The pool waits for them all the same.
    pub orphaned: usize,
    /// Threads that are [reserved](crate::Share::reserved_threads).
    pub reserved: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// How many jobs may be queued while all threads are busy.
    pub queue_limit: usize,
    /// Whether a job by this handle, with its [share](crate::Pool::share) if it has one, would be admitted now.
    pub has_room: bool,
    /// Jobs that have ended, with or without success.
    pub completed: u64,
    /// Requests that found no room, or were queued when the pool gave up.
    pub shed: u64,
    /// Requests that waited for a thread, or to be received, beyond the queue timeout or their deadline.
    pub expired: u64,
    /// Requests whose clients disconnected before a thread took them: while their body was read, while their extractors
    /// ran, or in the queue.
    pub cancelled: u64,
    /// Requests that found no room and were admitted all the same; see [`Overload::Report`](crate::Overload::Report).
    pub would_have_shed: u64,
    /// Jobs that ran on the driver that had read their request; see [`drivers`](crate::PoolBuilder::drivers). The
    /// others went through the queue.
    pub driven: u64,
    /// Drivers that a job held for a millisecond, so that another thread took their place.
    pub held_drivers: u64,
    /// Run time of a job: a moving average in which the last job has a weight of an eighth.
    pub service_time: Duration,
    /// The pool will [close](crate::Pool::begin_drain) soon.
    pub is_draining: bool,
    /// The pool admits no more jobs.
    pub is_closed: bool,
}

/// A running job. Created by [`Pool::running`](crate::Pool::running).
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// /// The jobs that have run for longer than a minute, for a log.
/// fn slow(pool: &gateway::Pool) -> Vec<String> {
///     let slow = pool.running().into_iter().filter(|job| job.age > Duration::from_secs(60));
///     slow.map(|job| format!("{} on {} for {:.0?}", job.mount, job.thread, job.age)).collect()
/// }
/// # assert!(slow(&gateway::Pool::default()).is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// The [name](crate::Gateway::name) of its mount.
    pub mount: String,
    /// How long it has run.
    pub age: Duration,
    /// The name of its thread.
    pub thread: String,
    /// Its client has disconnected.
    pub is_orphaned: bool,
}

/// A running job, as copied under the lock. Its strings are made outside the lock.
struct ObservedJob {
    thread: WorkerId,
    age: Duration,
    mount: Arc<str>,
    is_orphaned: bool,
}

impl Pool {
    /// The figures of the pool. Takes its lock for a moment.
    pub fn stats(&self) -> Stats {
        let (snapshot, jobs) = self.observe();
        self.figures(&snapshot, &jobs)
    }

    /// The running jobs, the oldest first.
    pub fn running(&self) -> Vec<RunningJob> {
        self.name_all(self.observe().1)
    }

    /// The figures and the running jobs, from one critical section.
    pub(crate) fn snapshot(&self) -> (Stats, Vec<RunningJob>) {
        let (snapshot, jobs) = self.observe();
        (self.figures(&snapshot, &jobs), self.name_all(jobs))
    }

    /// Lists a mount, unless it is listed already.
    pub(super) fn list(&self, mount: &Arc<MountCounts>) {
        if mount.claim_listing() {
            let mut mounts = lock(&self.core.mounts);
            mounts.retain(|known| known.strong_count() > 0);
            mounts.push(Arc::downgrade(mount));
        }
    }

    /// The figures of the mounts that have had a job, by name.
    pub(crate) fn mounts(&self) -> Vec<MountFigures> {
        let mut all = BTreeMap::new();
        for mount in lock(&self.core.mounts).iter().filter_map(Weak::upgrade) {
            let figures = mount.figures();
            let name = Arc::clone(&figures.name);
            let sum = all.entry(figures.name).or_insert(MountFigures { name, requests: 0, errors: 0 });
            sum.requests += figures.requests;
            sum.errors += figures.errors;
        }
        all.into_values().collect()
    }

    fn observe(&self) -> (Snapshot, Vec<ObservedJob>) {
        let now = Instant::now();
        self.core.threads.queue.snapshot_with(self.share.id, |thread, work| ObservedJob {
            thread,
            age: now.saturating_duration_since(work.since),
            mount: Arc::clone(&work.handle.name),
            is_orphaned: work.handle.client.is_closed(),
        })
    }

    fn figures(&self, snapshot: &Snapshot, jobs: &[ObservedJob]) -> Stats {
        let core = &self.core;
        Stats {
            threads: snapshot.threads,
            max_threads: snapshot.limits.max,
            busy: snapshot.busy,
            idle: snapshot.threads - snapshot.busy,
            stuck: jobs.iter().filter(|job| job.age >= core.settings.stuck_after).count(),
            orphaned: jobs.iter().filter(|job| job.is_orphaned).count(),
            reserved: snapshot.reserved,
            queued: snapshot.queued,
            queue_limit: snapshot.limits.queue_limit,
            has_room: snapshot.has_room,
            completed: snapshot.completed,
            shed: core.threads.shed.load(Ordering::Relaxed),
            expired: core.expired.load(Ordering::Relaxed),
            cancelled: core.cancelled.load(Ordering::Relaxed),
            would_have_shed: snapshot.would_have_shed,
            driven: snapshot.begun_here,
            held_drivers: snapshot.held,
            service_time: snapshot.average,
            is_draining: core.draining.load(Ordering::Relaxed),
            is_closed: snapshot.closed,
        }
    }

    fn name_all(&self, jobs: Vec<ObservedJob>) -> Vec<RunningJob> {
        let running = jobs.into_iter().map(|job| RunningJob {
            mount: job.mount.to_string(),
            age: job.age,
            thread: self.core.threads.name_of(job.thread),
            is_orphaned: job.is_orphaned,
        });
        let mut running: Vec<RunningJob> = running.collect();
        running.sort_by_key(|job| std::cmp::Reverse(job.age));
        running
    }
}
