//! The handle on a pool of blocking threads. The threads themselves, and their queue, are in `worker/`.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::executor::{Executor, Refused};
use crate::sync::Arc;
use crate::worker::{Admitted, Job, Queue, RunningJobs, start_thread};

/// A pool of threads that run applications: bounded, and apart from every runtime's own blocking pool.
///
/// Threads are started when there is a job and none is idle, up to the limit, and then stay. When all are busy, jobs wait
/// in a line of bounded length, in order of arrival and for a bounded time; beyond it they are refused, and the client gets
/// 503.
///
/// A handle: clones share the threads, and so may several mounts. When the last handle is dropped, the pool closes by
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
    handle: Arc<Handle>,
}

/// What the handles share. The threads hold only the queue, so that they do not keep their own pool open.
struct Handle {
    queue: Arc<Queue<Job>>,
    running: Arc<RunningJobs>,
    is_draining: AtomicBool,
    settings: PoolBuilder,
    /// The number of the next thread, for its name.
    next: AtomicUsize,
}

impl Pool {
    /// Settings for a new pool, with their defaults.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// Says that the pool is about to close. It still takes jobs.
    pub fn begin_drain(&self) {
        self.handle.is_draining.store(true, Ordering::Relaxed);
    }

    /// Takes no more jobs. Those that have not begun are answered with 503.
    pub fn close(&self) {
        self.handle.queue.close();
        drop(self.handle.queue.take_jobs());
    }

    /// The requests whose applications have been called and have not returned.
    pub fn running(&self) -> Vec<Running> {
        self.handle.running.list()
    }

    /// How many jobs may wait while all threads are busy.
    pub fn queue_capacity(&self) -> usize {
        self.handle.settings.capacity()
    }

    /// Takes no more jobs, and waits until those it has are done and all threads have ended.
    ///
    /// Waits as long as it takes: put it in a timeout to have a grace period. Closing a closed pool is fine.
    ///
    /// # Threads
    ///
    /// For the runtime; nothing blocks.
    pub async fn shutdown(&self) {
        self.handle.queue.close();
        std::future::poll_fn(|cx| self.handle.queue.poll_ended(cx)).await;
    }
}

/// A request that runs on a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// The mount: `SCRIPT_NAME`.
    pub mount: String,
    /// How long ago its application was called.
    pub age: Duration,
    /// The name of its thread.
    pub thread: String,
}

/// The pool of [`Pool::builder`]'s defaults. Starts its first thread with its first job.
impl Default for Pool {
    fn default() -> Self {
        Self { handle: Arc::new(Handle::new(PoolBuilder::default())) }
    }
}

impl Handle {
    fn new(settings: PoolBuilder) -> Self {
        let queue = Arc::new(Queue::new(settings.threads, settings.capacity()));
        let running = Arc::new(RunningJobs::default());
        Self { queue, running, is_draining: AtomicBool::new(false), settings, next: AtomicUsize::new(1) }
    }

    /// Starts a thread that the queue has counted already.
    fn start_thread(&self) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.settings.name);
        start_thread(name, self.settings.stack_size, &self.queue, &self.running).inspect_err(|error| {
            tracing::error!(pool = self.settings.name, %error, "the system refuses another thread");
            // Other threads will get to the job. Without any, dropping it answers its client.
            drop(self.queue.leave());
        })
    }
}

impl Running {
    pub(crate) fn new(mount: String, age: Duration, thread: String) -> Self {
        Self { mount, age, thread }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[async_trait]
impl Executor for Pool {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.try_execute(job)
    }

    fn try_execute(&self, job: Job) -> Result<(), Refused> {
        match self.handle.queue.push(job, Job::is_obsolete) {
            Ok(Admitted::Queued) => {}
            Ok(Admitted::NeedsThread) => {
                // The failure is logged, and the job no longer ours.
                let _ = self.handle.start_thread();
            }
            Err(job) => return Err(Refused::new(job)),
        }
        Ok(())
    }

    fn longest_wait(&self) -> Option<Duration> {
        self.handle.queue.has_line().then_some(self.handle.settings.queue_timeout)
    }

    fn is_concurrent(&self) -> bool {
        self.handle.settings.threads > 1
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.handle.settings).finish_non_exhaustive()
    }
}

/// Settings of a [`Pool`]. Created by [`Pool::builder`].
#[derive(Debug, Clone)]
pub struct PoolBuilder {
    threads: usize,
    queue: Option<usize>,
    queue_timeout: Duration,
    name: String,
    stack_size: usize,
}

impl PoolBuilder {
    /// The most threads. Default: 64.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How many jobs may wait while all threads are busy. Default: four for each thread. With 0 a job is refused unless a
    /// thread is free.
    #[must_use]
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = Some(jobs);
        self
    }

    /// How long a job may wait in line. Default: 10 seconds. Then it is refused, and its application never called.
    #[must_use]
    pub fn queue_timeout(mut self, wait: Duration) -> Self {
        self.queue_timeout = wait;
        self
    }

    /// The name of the pool; its threads are called `name-1`, `name-2` and so on. Default: `gateway`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The stack of each thread, in bytes. Default: 2 MiB.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Builds the pool and starts its first thread, to see that the system allows it.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if there are to be no threads, or the name holds a NUL.
    /// * The system's own error if it refuses a thread.
    pub fn build(self) -> io::Result<Pool> {
        if self.threads == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a pool of 0 threads runs nothing; give it 1 or more",
            ));
        }
        if self.name.contains('\0') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the pool name {:?} holds a NUL, which thread names must not", self.name),
            ));
        }
        let handle = Handle::new(self);
        handle.queue.join();
        handle.start_thread()?;
        Ok(Pool { handle: Arc::new(handle) })
    }

    fn capacity(&self) -> usize {
        self.queue.unwrap_or(self.threads.saturating_mul(4))
    }
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self {
            threads: 64,
            queue: None,
            queue_timeout: Duration::from_secs(10),
            name: "gateway".to_owned(),
            stack_size: 2 * 1024 * 1024,
        }
    }
}
