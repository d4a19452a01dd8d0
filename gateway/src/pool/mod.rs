//! A pool of blocking threads: the handle, the queue, and the threads.
//!
//! Threads: any; takes the lock of the queue for a moment.

pub(crate) mod builder;
pub(crate) mod share;
pub(crate) mod stats;
#[cfg(feature = "metrics")]
mod metrics;
mod job_handle;
pub(crate) mod queue;
mod admission_queue;
mod thread_table;
mod concurrency_limit;
mod run_state;
mod cpu_time;
mod thread_counts;
mod thread_hook;
mod threads;
mod worker;
// Only a server has drivers.
#[cfg_attr(not(feature = "serve"), allow(dead_code))]
pub(crate) mod drivers;

#[cfg(feature = "python")]
pub(crate) use self::thread_hook::ThreadHook;

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use self::builder::{PoolBuilder, check_threads, invalid};
use self::share::{Share, ShareHandle};
use self::stats::RunningJob;
use crate::body::uploads::Uploads;
use crate::executor::{Accepted, DropReason, Executor, Refused};
use crate::job::Job;
#[cfg(feature = "serve")]
use crate::log;
use crate::observe::mount_counts::MountCounts;
use crate::observe::warning;
use crate::pool::admission_queue::DEFAULT_SHARE;
use crate::pool::drivers::{Drivers, local};
use crate::pool::queue::{Pushed, Queue, TooManyReserved};
use crate::pool::threads::Threads;
use crate::sync::Mutex;
#[cfg(feature = "serve")]
use crate::sync::lock;

/// A bounded pool of threads that run applications, separate from the blocking pool of any runtime.
///
/// Threads are started on demand, up to the maximum, and then stay. While the concurrency limit is reached, jobs wait
/// in a bounded queue, in order of arrival and for a bounded time. A job that finds the queue full is refused, and its
/// client gets 503 with a `Retry-After` computed from the queue and the run time of jobs; see
/// [`Overload`](crate::Overload).
///
/// The concurrency limit adapts to the jobs. Jobs that block get all threads; jobs that compute get one thread for each
/// CPU, since more would only take turns; and short jobs run on the few threads that run already.
///
/// A `Pool` is a handle: clones share the threads, and so may several mounts. A handle from [`share`](Pool::share) has
/// a share of its own. When the last handle is dropped, the pool closes: it runs the queued jobs, and its threads end.
/// Dropping never waits.
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

/// What all handles share. The threads hold `Threads` only: a reference to `Core` would keep their own pool open.
struct Core {
    threads: Arc<Threads>,
    settings: PoolBuilder,
    uploads: Uploads,
    /// Started by the first server that has this pool.
    #[cfg_attr(not(feature = "serve"), expect(dead_code))]
    drivers: OnceLock<Drivers>,
    #[cfg_attr(not(feature = "serve"), expect(dead_code))]
    starting_drivers: Mutex<()>,
    draining: AtomicBool,
    expired: AtomicU64,
    cancelled: AtomicU64,
    /// The mounts that have had a job.
    mounts: Mutex<Vec<Weak<MountCounts>>>,
    /// The metrics were described to the recorder.
    #[cfg(feature = "metrics")]
    described: std::sync::Once,
}

impl Pool {
    /// Settings for a new pool, with their defaults.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    fn new(settings: PoolBuilder) -> Self {
        warning::panics();
        let threads = Arc::new(Threads {
            queue: Queue::new(settings.limits()),
            name: settings.name.clone(),
            stack_size: settings.thread_stack(),
            thread_left: Notify::new(),
            shed: AtomicU64::new(0),
            drivers: Mutex::default(),
        });
        let share = Arc::new(ShareHandle::new(&threads, DEFAULT_SHARE));
        let core = Core {
            threads: Arc::clone(&threads),
            uploads: Uploads::new(settings.upload_limits(settings.threads, 0), settings.upload_spool.clone()),
            settings,
            drivers: OnceLock::new(),
            starting_drivers: Mutex::default(),
            draining: AtomicBool::new(false),
            expired: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            mounts: Mutex::new(Vec::new()),
            #[cfg(feature = "metrics")]
            described: std::sync::Once::new(),
        };
        Self { core: Arc::new(core), share }
    }

    /// A handle on the same threads with a share of its own: to protect a mount from the load of others, or the others
    /// from its load. The share lasts for as long as the handle or any of its clones.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if no thread would be left for the other shares.
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
        let id = self.core.threads.queue.open_share(share.limits).map_err(|TooManyReserved(reserved)| {
            let (wanted, threads) = (share.limits.reserved, self.core.threads.queue.max_threads());
            invalid(format!(
                "{wanted} threads cannot be reserved of a pool of {threads}, of which {reserved} are reserved already: one has \
                 to be left for the rest; reserve fewer, or give the pool more"
            ))
        })?;
        // When the share is closed, the limits stay: too low for a while is better than too high.
        self.set_upload_limits();
        Ok(Self { core: Arc::clone(&self.core), share: Arc::new(ShareHandle::new(&self.core.threads, id)) })
    }

    fn set_upload_limits(&self) {
        let snapshot = self.core.threads.queue.snapshot(DEFAULT_SHARE);
        let limits = self.core.settings.upload_limits(snapshot.limits.max, snapshot.reserved);
        self.core.uploads.set_limits(limits);
    }

    /// Changes the minimum and the maximum of threads, and with the maximum the length of the queue, unless that was
    /// set.
    ///
    /// Further threads are started on demand. Surplus threads end: idle ones at once, busy ones after their job.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if the maximum is 0, or less than the minimum, or would leave no
    ///   unreserved thread. Nothing changes then.
    /// * The system's own error if it refuses a thread.
    pub fn resize(&self, threads: RangeInclusive<usize>) -> io::Result<()> {
        let (min, max) = threads.into_inner();
        check_threads(min, max)?;
        let queue_limit = self.core.settings.queue_limit(max);
        let action = self.core.threads.queue.resize(min, max, queue_limit).map_err(|TooManyReserved(reserved)| {
            let least = reserved + 1;
            invalid(format!("{max} threads are not enough, as {reserved} are reserved; give the pool {least} or more"))
        })?;
        self.core.threads.perform(action);
        self.set_upload_limits();
        self.start_missing()
    }

    /// The name of the pool.
    pub fn name(&self) -> &str {
        &self.core.settings.name
    }

    /// Announces that the pool will close: [`Readiness`](crate::Readiness) answers 503, so that load balancers send no
    /// new requests. Requests that arrive all the same are served.
    pub fn begin_drain(&self) {
        self.core.draining.store(true, Ordering::Relaxed);
    }

    /// Admits no more jobs. Queued jobs still run, then the threads end; [drivers](PoolBuilder::drivers) end with the
    /// last handle of the pool. Without effect on a closed pool.
    pub fn close(&self) {
        self.begin_drain();
        self.core.threads.queue.close();
    }

    /// [Closes](Pool::close) the pool, and waits until its jobs are done and all threads but the
    /// [drivers](PoolBuilder::drivers) have ended.
    ///
    /// Waits without a limit; [`shutdown_within`](Pool::shutdown_within) has one.
    ///
    /// # Threads
    ///
    /// For the runtime; nothing blocks.
    pub async fn shutdown(&self) {
        self.close();
        let threads = &self.core.threads;
        loop {
            // Before the check: `notify_waiters` wakes the futures that exist, so a thread that leaves after the check
            // wakes this one.
            let left = threads.thread_left.notified();
            if !threads.queue.has_threads() {
                return;
            }
            left.await;
        }
    }

    /// [Shuts down](Pool::shutdown), but waits for at most `grace`. Then queued jobs are answered with 503. Running
    /// jobs observe a disconnect and have another 100 milliseconds; their clients get 500 or a response that is broken
    /// off, as a 503 would say that they never ran. Returns the jobs that run even then: a thread cannot be ended from
    /// outside.
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

    /// [Closes](Pool::close) the pool, and answers queued jobs with 503.
    pub(crate) fn give_up(&self) {
        self.close();
        self.core.threads.shed(self.core.threads.queue.clear());
    }

    /// Starts the initial threads.
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

    fn push(&self, job: Job) -> Result<Accepted, Refused> {
        self.list(job.environ().settings().figures.counts());
        let threads = &self.core.threads;
        // A read of the body would wait for a task that this driver may have in hand.
        let driver = local::driver_of(threads).filter(|_| {
            job.environ().settings().run_times.may_run_here(local::is_alone) && !job.environ().waits_for_body()
        });
        match threads.queue.push(self.share.id, job, driver).map_err(Refused::new)? {
            Pushed::Queued(accepted, action) => {
                threads.perform(action);
                Ok(accepted)
            }
            Pushed::Here(job) => {
                // The poll has lasted so long that the thread is a worker.
                if let (Err(job), Some(id)) = (local::put_job(job), driver) {
                    threads.after_thread(threads.queue.give_back(id, job));
                }
                Ok(Accepted::at_once())
            }
        }
    }

    /// The drivers, for a server with this pool. `None` if there are to be none.
    #[cfg(feature = "serve")]
    pub(crate) fn drivers(&self) -> Option<&Drivers> {
        let drivers = self.core.settings.driver_count();
        if drivers == 0 {
            return None;
        }
        // Another server may start them at the same time.
        let _starting = lock(&self.core.starting_drivers);
        if let Some(drivers) = self.core.drivers.get() {
            return Some(drivers);
        }
        match Drivers::start(&self.core.threads, drivers) {
            Ok(started) => Some(self.core.drivers.get_or_init(|| started)),
            Err(error) => {
                log::error!(pool = self.core.threads.name, %error, "connections cannot be driven by the pool");
                None
            }
        }
    }
}

/// The pool of [`Pool::builder`]'s defaults. Starts its first thread with its first job.
impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolBuilder::default())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.threads.queue.close();
    }
}

#[async_trait]
impl Executor for Pool {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.push(job).map(drop).inspect_err(|_| self.core.threads.count_shed())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.push(job)
    }

    fn longest_wait(&self) -> Option<Duration> {
        Some(self.core.settings.queue_timeout)
    }

    /// The estimated time until all jobs in flight have run.
    fn retry_after(&self) -> Option<Duration> {
        let snapshot = self.core.threads.queue.snapshot(self.share.id);
        let threads = u32::try_from(snapshot.limits.max.max(1)).unwrap_or(u32::MAX);
        let before = u32::try_from(snapshot.queued + snapshot.busy).unwrap_or(u32::MAX);
        Some(snapshot.average.saturating_mul(before) / threads)
    }

    fn uploads(&self) -> Option<&Uploads> {
        Some(&self.core.uploads)
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

partial_debug!(Pool, |this| settings: this.core.settings);
