//! A pool of blocking threads: the handle, the queue, and the threads.
//!
//! Threads: any; takes the lock of the queue for a moment.

pub(crate) mod builder;
mod connections;
pub(crate) mod share;
pub(crate) mod stats;
#[cfg(feature = "metrics")]
mod metrics;
mod wait_list;
mod job;
pub(crate) mod queue;
mod admission_queue;
mod thread_table;
mod concurrency_limit;
mod run_state;
mod cpu_time;
mod thread_hook;
mod worker;

#[cfg(feature = "python")]
pub(crate) use self::thread_hook::ThreadHook;

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use self::builder::{Overload, PoolBuilder, check_threads, invalid};
use self::share::{Share, ShareHandle};
use self::stats::RunningJob;
use self::wait_list::WaitList;
use crate::catch_panic::catch_panic;
use crate::executor::{Accepted, DropReason, Executor, Refused};
use crate::job::Job;
use crate::log;
use crate::observe::warning;
use crate::pool::queue::Entry;
use crate::pool::queue::{Queue, TooManyReserved};
use crate::pool::worker::{OnEnd, Threads};

/// A pool of threads that run applications: bounded, and apart from every runtime's own blocking pool.
///
/// Threads are started as they are worth it, up to the limit, and then stay. While as many are busy as may be awake,
/// jobs wait in a line of bounded length, in order of arrival and for a bounded time; beyond it they are refused, and
/// the client gets 503 with a `Retry-After` that goes by the line and by how long jobs take. What else may be done with
/// them is [`Overload`]'s to say.
///
/// There are as many threads awake as there is use for. Jobs that block get all of them; jobs that compute get one for
/// each processor, as more would only take turns; and short jobs are left to the few that are awake already.
///
/// A handle: clones share the threads, and so may several mounts. One that
/// [`share`](Pool::share) gives has a share of its own. When the last handle is dropped, the pool closes by
/// itself: it runs what it has, and its threads end. Dropping never waits.
///
/// # Example
///
/// ```
/// use gateway::Pool;
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(16).queue(64).name("reports").build()?;
/// # drop(pool);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    core: Arc<Core>,
    share: Arc<ShareHandle>,
}

/// What all handles share. The threads hold only what they need to run, so that they do not keep their own pool open.
struct Core {
    threads: Arc<Threads>,
    settings: PoolBuilder,
    draining: AtomicBool,
    shed: AtomicU64,
    expired: AtomicU64,
    cancelled: AtomicU64,
    wait_list: Arc<WaitList>,
}

impl Pool {
    /// Settings for a new pool, with their defaults.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    fn new(settings: PoolBuilder) -> Self {
        warning::panics();
        let wait_list = Arc::new(WaitList::default());
        let on_end: Option<OnEnd> = (settings.overload == Overload::Wait).then(|| {
            let wait_list = Arc::clone(&wait_list);
            Box::new(move || wait_list.free()) as OnEnd
        });
        let threads = Arc::new(Threads {
            queue: Queue::new(settings.limits()),
            name: settings.name.clone(),
            stack_size: settings.stack_size,
            on_end,
        });
        let share = Arc::new(ShareHandle::default_share(&threads, &wait_list));
        let core = Core {
            threads: Arc::clone(&threads),
            settings,
            draining: AtomicBool::new(false),
            shed: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            wait_list,
        };
        Self { core: Arc::new(core), share }
    }

    /// A handle on the same threads, with a share of its own: for a mount that must survive whatever the others do, or
    /// that others must survive. The share lasts for as long as the handle or any of its clones.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if no thread would be left for the rest.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Gateway, Pool, Share};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let app = || gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
    /// # let (checkout, reports) = (app(), app());
    /// let pool = Pool::builder().threads(16).build()?;
    /// let checkout = Gateway::new(checkout).pool(&pool.share(Share::new().reserved_threads(4))?);
    /// let reports = Gateway::new(reports).pool(&pool.share(Share::new().max_in_flight(8))?);
    /// # drop((checkout, reports));
    /// # Ok(())
    /// # }
    /// ```
    pub fn share(&self, share: Share) -> io::Result<Self> {
        let id = self.core.threads.queue.open_share(share.limits()).map_err(|TooManyReserved(reserved)| {
            let (wanted, threads) = (share.limits().reserved, self.core.threads.queue.max_threads());
            invalid(format!(
                "{wanted} threads cannot be reserved of a pool of {threads}, of which {reserved} are reserved already: one has \
                 to be left for the rest; reserve fewer, or give the pool more"
            ))
        })?;
        Ok(Self {
            core: Arc::clone(&self.core),
            share: Arc::new(ShareHandle::new(&self.core.threads, &self.core.wait_list, id, share.limits())),
        })
    }

    /// Changes how many threads there are at least and at most, and with the most, unless it was set, the length of the
    /// line.
    ///
    /// More are started as they are needed. Of fewer, those that are idle end at once, those that are busy after their
    /// job.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if there would be no threads, or more at least than at most, or
    ///   none beside those that are reserved. Nothing changes then.
    /// * The system's own error if it refuses a thread.
    pub fn resize(&self, threads: RangeInclusive<usize>) -> io::Result<()> {
        let (min, max) = threads.into_inner();
        check_threads(min, max)?;
        let places = self.core.settings.places(max);
        let call = self.core.threads.queue.resize(min, max, places).map_err(|TooManyReserved(reserved)| {
            let least = reserved + 1;
            invalid(format!("{max} threads are not enough, as {reserved} are reserved; give the pool {least} or more"))
        })?;
        self.core.threads.answer(call);
        self.core.wait_list.free();
        self.start_missing()
    }

    /// The name of the pool.
    pub fn name(&self) -> &str {
        &self.core.settings.name
    }

    /// Says that the pool is going to end soon, so that [`Readiness`](crate::Readiness) turns red and nobody sends new
    /// requests. Those that come all the same are served.
    pub fn begin_drain(&self) {
        self.core.draining.store(true, Ordering::Relaxed);
    }

    /// Takes no more jobs. Those it has still run, then the threads end. Closing a closed pool is fine.
    pub fn close(&self) {
        self.begin_drain();
        self.core.close();
    }

    /// [Closes](Pool::close) the pool, and waits until the jobs it has are done and all threads have ended.
    ///
    /// Waits as long as it takes; [`shutdown_within`](Pool::shutdown_within) does not.
    ///
    /// # Threads
    ///
    /// For the runtime; nothing blocks.
    pub async fn shutdown(&self) {
        self.close();
        std::future::poll_fn(|cx| self.core.threads.queue.poll_ended(cx)).await;
    }

    /// [Shuts down](Pool::shutdown), but waits for no longer than `grace`. After it, what still waits is answered with
    /// 503, and what still runs is told that its client has gone, and given another 100 milliseconds. The result is
    /// what runs even then: a thread cannot be ended from outside.
    ///
    /// # Threads
    ///
    /// For the runtime, which needs timers; nothing blocks.
    pub async fn shutdown_within(&self, grace: Duration) -> Vec<RunningJob> {
        if tokio::time::timeout(grace, self.shutdown()).await.is_err() {
            self.give_up();
            for client in self.core.threads.queue.running(|_, work| work.handle.client.clone()) {
                client.cut();
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), self.shutdown()).await;
        }
        self.running()
    }

    /// [Closes](Pool::close) the pool, and answers what still waits with 503.
    pub(crate) fn give_up(&self) {
        self.close();
        if let Err(panicked) = catch_panic(|| drop(self.core.threads.queue.clear())) {
            log::error!(error = %panicked, "a job panicked when it was dropped");
        }
    }

    /// Starts the threads that are there from the beginning.
    fn start_first(&self) -> io::Result<()> {
        let threads = &self.core.threads;
        if self.core.settings.min_threads == 0 {
            return threads.start(threads.queue.join());
        }
        self.start_missing()
    }

    fn start_missing(&self) -> io::Result<()> {
        let threads = &self.core.threads;
        while let Some(id) = threads.queue.refill() {
            threads.start(id)?;
        }
        Ok(())
    }

    /// Waits until the job is let in, in order of arrival. Gives it back if the pool closes.
    async fn wait_for_place(&self, job: Job) -> Result<(), Job> {
        let waiting = self.core.wait_list.wait(self.share.id());
        let mut outside = Some(job);
        std::future::poll_fn(|cx| {
            // In this order, so that a place which is freed in between is not missed.
            if waiting.is_first(cx)
                && let Some(job) = outside.take()
            {
                match self.push(job) {
                    Ok(_) => return Poll::Ready(Ok(())),
                    Err(job) => outside = Some(job),
                }
            }
            match outside.take_if(|_| self.core.threads.queue.is_closed()) {
                Some(job) => Poll::Ready(Err(job)),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn push(&self, job: Job) -> Result<Entry, Job> {
        let (entry, call) = self.core.threads.queue.push(self.share.id(), job)?;
        self.core.threads.answer(call);
        Ok(entry)
    }
}

/// The pool of [`Pool::builder`]'s defaults. Starts its first thread with its first job.
impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolBuilder::default())
    }
}

impl Core {
    fn close(&self) {
        self.threads.queue.close();
        self.wait_list.free();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Executor for Pool {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        let admitted = match self.core.settings.overload {
            Overload::Wait => self.wait_for_place(job).await,
            Overload::Shed | Overload::Report => self.push(job).map(drop),
        };
        admitted.map_err(|job| {
            self.core.shed.fetch_add(1, Ordering::Relaxed);
            Refused::new(job)
        })
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        // Nobody overtakes those who wait.
        if self.core.wait_list.is_awaited() {
            return Err(Refused::new(job));
        }
        match self.push(job) {
            Ok(Entry::AtOnce) => Ok(Accepted::at_once()),
            Ok(Entry::InLine) => Ok(Accepted::in_line(self.core.settings.queue_timeout)),
            Err(job) => Err(Refused::new(job)),
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        Some(self.core.settings.queue_timeout)
    }

    /// When those who are in line now will have had their turn.
    fn retry_after(&self) -> Option<Duration> {
        let snapshot = self.core.threads.queue.snapshot(self.share.id());
        let threads = u32::try_from(snapshot.limits.max.max(1)).unwrap_or(u32::MAX);
        let before = u32::try_from(snapshot.queued + snapshot.busy).unwrap_or(u32::MAX);
        Some(snapshot.average.saturating_mul(before) / threads)
    }

    fn is_concurrent(&self) -> bool {
        self.core.threads.queue.max_threads() > 1
    }

    fn dropped(&self, reason: DropReason) {
        let count = match reason {
            DropReason::Expired => &self.core.expired,
            DropReason::Cancelled => &self.core.cancelled,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.core.settings).finish_non_exhaustive()
    }
}
