//! The executor interface: runs jobs on threads.
//!
//! Threads: runtime.

use std::time::Duration;

use async_trait::async_trait;

use crate::body::uploads::Uploads;
use crate::job::Job;

/// Runs jobs on threads that may block. [`Pool`](crate::Pool) is the executor of this crate; implement the trait to use
/// other threads.
///
/// The gateway first calls [`try_execute`](Executor::try_execute), on the runtime, while the request is being routed.
/// If it refuses the job, the gateway awaits [`execute`](Executor::execute), which may wait for room. A refusal by
/// `execute` is answered with 503, at once and without a thread.
///
/// # Example
///
/// ```
/// use async_trait::async_trait;
/// use gateway::{Executor, Job, Refused};
///
/// /// A thread for each request.
/// struct ThreadPerRequest;
///
/// #[async_trait]
/// impl Executor for ThreadPerRequest {
///     async fn execute(&self, job: Job) -> Result<(), Refused> {
///         std::thread::spawn(move || job.run());
///         Ok(())
///     }
/// }
/// # let app = gateway::application_fn(|_, start_response| { start_response("200 OK", &[])?; Ok(gateway::Chunks::new(["hi"])) });
/// # let gateway = gateway::Gateway::new(app).executor(ThreadPerRequest);
/// # assert_eq!(gateway::testing::Client::of(gateway).get("/").text(), "hi");
/// ```
///
/// # Threads
///
/// All methods are called where the request is polled, on a thread of the runtime or a
/// [driver](crate::PoolBuilder::drivers), and must not block it.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Takes the job, or refuses it. May wait for room.
    ///
    /// The future is dropped as soon as the response begins or the client disconnects. A value that must last as long
    /// as the job, such as a permit, has to move with the job.
    ///
    /// # Errors
    ///
    /// Returns [`Refused`] with the job if there is no room for it, or the executor is closed.
    async fn execute(&self, job: Job) -> Result<(), Refused>;

    /// Takes the job if there is room at once. The default refuses, so that every job goes through
    /// [`execute`](Executor::execute).
    ///
    /// # Errors
    ///
    /// Returns [`Refused`] with the job if there is no room at once.
    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        Err(Refused::new(job))
    }

    /// How long a job may wait in [`execute`](Executor::execute) and for its thread together. A job that has not begun
    /// by then is dropped, and its client gets 503. The default is no limit.
    fn longest_wait(&self) -> Option<Duration> {
        None
    }

    /// The value of `Retry-After` for refused clients, in whole seconds and at least one. The default is no such field.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Whether two jobs may run at the same time: the value of `wsgi.multithread`.
    fn is_concurrent(&self) -> bool {
        true
    }

    // Called for each job that was dropped before it had begun. For `Pool` alone, which counts them.
    #[doc(hidden)]
    fn dropped(&self, _: DropReason) {}

    // The limit on bodies that stream. For `Pool` alone.
    #[doc(hidden)]
    fn uploads(&self) -> Option<&Uploads> {
        None
    }

    // Whether jobs run within the call that hands them over, on a runtime thread. Such jobs must not wait for the
    // runtime: request bodies are read whole before, and responses are not bounded. For `testing::Inline` alone.
    #[doc(hidden)]
    fn is_inline(&self) -> bool {
        false
    }
}

/// How long a job that [`Executor::try_execute`] took may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Accepted {
    longest_wait: Option<Duration>,
}

impl Accepted {
    /// The job has a thread, or will have one at once.
    pub fn at_once() -> Self {
        Self { longest_wait: None }
    }

    /// The job waits for a thread, for at most this time. If it has not begun by then, it is dropped, and its client
    /// gets 503.
    pub const fn queued(longest_wait: Duration) -> Self {
        Self { longest_wait: Some(longest_wait) }
    }

    pub(crate) fn longest_wait(self) -> Option<Duration> {
        self.longest_wait
    }
}

/// Why a job was dropped before it had begun.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The job had waited for too long.
    Expired,
    /// The client has disconnected.
    Cancelled,
}

/// A job that an executor did not take.
#[derive(Debug)]
pub struct Refused {
    job: Job,
}

impl Refused {
    /// Refuses `job`.
    pub fn new(job: Job) -> Self {
        Self { job }
    }

    /// The refused job.
    pub fn into_job(self) -> Job {
        self.job
    }
}

error_text!(Refused, "the executor has no room for the request");

const _: fn(&dyn Executor) = |_| {};
