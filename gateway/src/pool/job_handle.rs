//! What a pool observes of its jobs.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::Duration;

use crate::job::Job;
use crate::pool::queue::QueueItem;
use crate::response::message::ResponseWatch;
use crate::run_times::RunTimes;

/// What a pool observes of a running job, and can do to it.
#[derive(Debug)]
pub(crate) struct JobHandle {
    /// The name of its mount.
    pub(crate) name: Arc<str>,
    /// The state of the response: whether the client still waits for it.
    pub(crate) client: ResponseWatch,
    run_times: Arc<RunTimes>,
}

impl QueueItem for Job {
    type Handle = JobHandle;

    fn handle(&self) -> JobHandle {
        let settings = self.environ().settings();
        let (name, run_times) = (Arc::clone(&settings.name), Arc::clone(&settings.run_times));
        JobHandle { name, client: self.client(), run_times }
    }

    fn is_obsolete(&self) -> bool {
        Self::is_obsolete(self)
    }

    fn delay(handle: &JobHandle) {
        handle.client.delay();
    }

    fn ran(handle: &JobHandle, took: Duration) {
        handle.run_times.add(took);
    }
}
