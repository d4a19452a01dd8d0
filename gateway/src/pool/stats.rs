//! How a pool is doing.

use std::time::Duration;

/// The figures of a [`Pool`](crate::Pool), all of one moment. Created by [`Pool::stats`](crate::Pool::stats).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Threads that there are.
    pub threads: usize,
    /// The most that there may be.
    pub max_threads: usize,
    /// Threads that run a job.
    pub busy: usize,
    /// Threads that do not.
    pub idle: usize,
    /// Of the busy ones, those whose job has run for longer than [`stuck_after`](crate::PoolBuilder::stuck_after).
    pub stuck: usize,
    /// Of the busy ones, those whose client has gone: they work for nobody, and are waited for all the same.
    pub orphaned: usize,
    /// Threads that are [reserved](crate::Share::reserved_threads).
    pub reserved: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// How many may wait while all threads are busy.
    pub queue_limit: usize,
    /// Whether a job that comes by this handle, with its [share](crate::Pool::share) if it has one, would be let in now.
    pub has_room: bool,
    /// Jobs that have ended, however they did.
    pub completed: u64,
    /// Requests that found no room.
    pub shed: u64,
    /// Requests that waited for a thread for too long: for longer than the pool allows, or past their deadline.
    pub expired: u64,
    /// Requests whose clients left while they waited for a thread.
    pub cancelled: u64,
    /// Requests that found no room and were let in all the same; see [`Overload::Report`](crate::Overload::Report).
    pub would_have_shed: u64,
    /// How long a job takes, of late: an average in which each counts an eighth of what is left.
    pub service_time: Duration,
    /// The pool is to [end](crate::Pool::begin_drain) soon.
    pub is_draining: bool,
    /// The pool takes no more jobs.
    pub is_closed: bool,
}

/// A job that runs. Created by [`Pool::running`](crate::Pool::running).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// What its mount [is called](crate::Gateway::name).
    pub mount: String,
    /// How long it has run.
    pub age: Duration,
    /// The name of its thread.
    pub thread: String,
    /// Its client has gone.
    pub is_orphaned: bool,
}
