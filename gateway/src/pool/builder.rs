//! The settings of a pool.
//!
//! Threads: any.

use std::io;
use std::time::Duration;

use crate::body::spool::Spool;
use crate::body::uploads::UploadLimits;
use crate::pool::Pool;
use crate::pool::queue::Limits;

/// Settings of a [`Pool`]. Created by [`Pool::builder`].
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use gateway::{Overload, Pool};
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder()
///     .name("reports")
///     .threads(8)
///     .queue(16)
///     .queue_timeout(Duration::from_secs(2))
///     .overload(Overload::Shed)
///     .build()?;
/// assert_eq!(pool.stats().threads, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PoolBuilder {
    pub(super) threads: usize,
    pub(super) min_threads: usize,
    pub(super) drivers: Option<usize>,
    pub(super) queue: Option<usize>,
    pub(super) queue_timeout: Duration,
    pub(super) uploads: Option<usize>,
    pub(super) upload_spool: Spool,
    pub(super) overload: Overload,
    pub(super) parallelism: Option<usize>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) stuck_after: Duration,
    pub(super) name: String,
    pub(super) stack_size: usize,
}

/// What happens to a request for which a [`Pool`] has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overload {
    /// The request is answered with 503 and `Retry-After` at once.
    #[default]
    Shed,
    /// The request is admitted all the same, and counted in [`Stats::would_have_shed`](crate::Stats::would_have_shed):
    /// to measure the effect of a limit before it is enforced.
    Report,
}

setters! {
    impl PoolBuilder;

    /// How many more threads drive the connections of a server that [has this pool](crate::serve::Server::pool): they
    /// read the requests, and write the responses. Default: one for each processor that the process may use. At most
    /// 1,024. With 0, the program's runtime does, and each job takes a hop to another thread and back.
    ///
    /// A driver runs a request itself, without a hop, if the jobs of its mount are *short*: at least 64 jobs have taken
    /// less than 50 microseconds each, hardly one in a thousand takes more than a millisecond; and if its body is
    /// complete and no job is queued. Under the lock of Python's interpreter, it also runs jobs of up to 500
    /// microseconds while no other connection waits for it. All other jobs go through the queue. If a job holds a
    /// driver for a millisecond or two all the same, an idle thread of the pool drives in its place, or a new one; the
    /// thread of the job becomes a worker, and counts as one.
    ///
    /// Async handlers and layers run on the drivers, too, and are expected not to block; nor is `block_in_place` of use
    /// there. Their timers, sockets and tasks belong to the program's runtime. They are no tasks of tokio:
    /// `tokio::task::id` panics, and a handler that is never pending never yields. A server of mainly async handlers
    /// that wait for sockets of their own, or of `WebSocket`s, has less to gain, and may be faster with 0.
    ///
    /// The drivers start with the first such server, with one more thread that watches them, and end with the last
    /// handle of the pool. [`threads`](PoolBuilder::threads) does not count them.
    pub fn drivers(mut self, threads: usize) { self.drivers = Some(threads) }

    /// The maximum number of threads. Default: 64.
    pub fn threads(mut self, threads: usize) { self.threads = threads }

    /// Threads that are started with the pool and always stay. Default: 1.
    ///
    /// Further threads are started on demand. If the system may run out of threads, start all of them: then
    /// [`build`](PoolBuilder::build) fails instead of a later request.
    pub fn min_threads(mut self, threads: usize) { self.min_threads = threads }

    /// How many jobs may be queued while all threads are busy. Default: four for each thread. With 0, a job is refused
    /// unless a thread is free. With `usize::MAX` no job is refused for lack of room, and each waits for at most
    /// [`queue_timeout`](PoolBuilder::queue_timeout).
    pub fn queue(mut self, jobs: usize) { self.queue = Some(jobs) }

    /// How long a job may wait for a thread. Default: 10 seconds. Then the job is refused and its application is never
    /// called. A request body that [waits](PoolBuilder::upload_spool) to be received may do so for the same time.
    pub fn queue_timeout(mut self, wait: Duration) { self.queue_timeout = wait }

    /// How many request bodies may stream to the threads of this pool at a time. Default: half of the threads, at least
    /// one.
    ///
    /// A body streams if it exceeds the [`read_ahead`](crate::Gateway::read_ahead) and has not arrived yet; its thread
    /// waits while the client sends slowly. Other bodies are received whole before they take a thread, in temporary
    /// files, so that slow clients cannot take all threads. An application that responds before it has read
    /// its body, as in a dialogue, needs a body that streams.
    ///
    /// Where a mount has a [`spool`](crate::Gateway::spool), the bodies of clients that wait for `100 Continue` count,
    /// too.
    ///
    /// One more body streams if it does not fit into the [`upload_spool`](PoolBuilder::upload_spool), and if a thread
    /// is left for other requests: a large upload that arrives fast does not wait for the slow ones.
    pub fn uploads(mut self, requests: usize) { self.uploads = Some(requests) }

    /// Where request bodies beyond [`uploads`](PoolBuilder::uploads) are stored. Default: a [`Spool`] of this pool with
    /// the default settings.
    ///
    /// While the spool is full, a body that may not stream waits: it is received when another one has left the spool,
    /// or it streams when another one no longer does. The part that is in the spool by then is not lost. Beyond its
    /// [`read_ahead`](crate::Gateway::read_ahead), nothing is read meanwhile, so that the client has to wait, too.
    /// After the [`queue_timeout`](PoolBuilder::queue_timeout) the request is answered with 503 and `Retry-After`.
    pub fn upload_spool(mut self, spool: &Spool) { self.upload_spool = spool.clone() }

    /// What happens to requests that find no room. Default: [`Overload::Shed`].
    pub fn overload(mut self, overload: Overload) { self.overload = overload }

    /// How many threads can compute at the same time. Default: one for each CPU that the process may use.
    ///
    /// It limits neither the number of threads nor the blocked threads, but the threads that *compute*: more of them
    /// would contend with each other. Applications that hold one shared lock while they run, such as the lock of an
    /// interpreter, have a parallelism of 1.
    ///
    /// If it is set, the concurrency limit of the pool begins at this number, and rises once samples show that jobs
    /// block, which takes a few milliseconds. Otherwise the limit begins at all threads.
    pub fn parallelism(mut self, threads: usize) { self.parallelism = Some(threads) }

    /// How long a thread may be idle before it ends, down to [`min_threads`](PoolBuilder::min_threads). Default: no
    /// limit, so that the thread-locals of applications last.
    pub fn idle_timeout(mut self, wait: Duration) { self.idle_timeout = Some(wait) }

    /// The run time after which a job counts as [stuck](crate::Stats::stuck). Default: 60 seconds.
    pub fn stuck_after(mut self, time: Duration) { self.stuck_after = time }

    /// The name of the pool; its threads are called `name-1`, `name-2` and so on. Default: `gateway`.
    pub fn name(mut self, name: impl Into<String>) { self.name = name.into() }

    /// The stack size of each thread, in bytes. Default: 2 MiB, which is also the least for a pool with
    /// [drivers](PoolBuilder::drivers): any of its threads may come to drive connections, with their layers, handlers
    /// and TLS.
    pub fn stack_size(mut self, bytes: usize) { self.stack_size = bytes }
}

impl PoolBuilder {
    /// Builds the pool and starts its first threads: [`min_threads`](PoolBuilder::min_threads), and at least one, to
    /// check that the system allows it.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if the maximum is 0 or less than the minimum, there are more
    ///   than 1,024 [drivers](PoolBuilder::drivers), or the name contains a NUL.
    /// * The system's own error if it refuses a thread.
    pub fn build(self) -> io::Result<Pool> {
        check_threads(self.min_threads, self.threads)?;
        if let Some(drivers) = self.drivers.filter(|drivers| *drivers > MOST_DRIVERS) {
            return Err(invalid(format!(
                "a pool cannot have {drivers} drivers; give it {MOST_DRIVERS} or fewer: one for each processor is \
                 enough"
            )));
        }
        if self.name.contains('\0') {
            return Err(invalid(format!("the pool name {:?} holds a NUL, which thread names must not", self.name)));
        }
        let pool = Pool::new(self);
        pool.start_first()?;
        Ok(pool)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            min: self.min_threads,
            max: self.threads,
            queue_limit: self.queue_limit(self.threads),
            queue_timeout: self.queue_timeout,
            parallelism: self.parallelism.unwrap_or_else(processors),
            is_contended: self.parallelism.is_some(),
            idle_timeout: self.idle_timeout,
            report_only: self.overload == Overload::Report,
        }
    }

    /// How many threads are to drive connections.
    #[cfg(feature = "serve")]
    pub(super) fn driver_count(&self) -> usize {
        self.drivers.unwrap_or_else(|| processors().min(MOST_DRIVERS))
    }

    /// How many bodies may stream with this number of threads.
    pub(super) fn upload_limits(&self, threads: usize, reserved: usize) -> UploadLimits {
        let streaming = self.uploads.unwrap_or(threads / 2).max(1);
        // A thread is left for the other requests, of those that no share has reserved.
        let unreserved = threads.saturating_sub(reserved);
        let overflow = usize::from(streaming.saturating_add(1) < unreserved);
        UploadLimits { streaming, overflow, leaves_thread: streaming < unreserved }
    }

    pub(super) fn thread_stack(&self) -> usize {
        if self.drivers == Some(0) { self.stack_size } else { self.stack_size.max(LEAST_STACK) }
    }

    /// The length of the queue for this number of threads.
    pub(super) fn queue_limit(&self, threads: usize) -> usize {
        self.queue.unwrap_or(threads.saturating_mul(4))
    }
}

/// The least stack of a thread that may come to drive connections: that of a thread of tokio.
const LEAST_STACK: usize = 2 * 1024 * 1024;

/// More than nearly any machine has processors. All drivers start at once, with the server: a mistake would cost that
/// many threads.
const MOST_DRIVERS: usize = 1024;

/// How many processors the process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(super) fn check_threads(min: usize, max: usize) -> io::Result<()> {
    if max == 0 {
        return Err(invalid("a pool of 0 threads runs nothing; give it 1 or more".to_owned()));
    }
    if min > max {
        return Err(invalid(format!("a pool cannot have {min} threads at least and {max} at most")));
    }
    Ok(())
}

pub(super) fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self {
            threads: 64,
            min_threads: 1,
            drivers: None,
            queue: None,
            queue_timeout: Duration::from_secs(10),
            uploads: None,
            upload_spool: Spool::builder().untested(),
            overload: Overload::Shed,
            parallelism: None,
            idle_timeout: None,
            stuck_after: Duration::from_secs(60),
            name: "gateway".to_owned(),
            stack_size: 2 * 1024 * 1024,
        }
    }
}
