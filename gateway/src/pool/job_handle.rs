//! What a pool observes of its jobs.
//!
//! Threads: any.

use std::sync::Arc;

use crate::job::Job;
use crate::pool::queue::QueueItem;
use crate::response::message::ResponseWatch;

/// What a pool observes of a running job, and can do to it.
#[derive(Debug)]
pub(crate) struct JobHandle {
    /// The name of its mount.
    pub(crate) name: Arc<str>,
    /// The state of the response: whether the client still waits for it.
    pub(crate) client: ResponseWatch,
}

impl QueueItem for Job {
    type Handle = JobHandle;

    fn handle(&self) -> JobHandle {
        JobHandle { name: Arc::clone(&self.environ().settings().name), client: self.client() }
    }

    fn is_obsolete(&self) -> bool {
        Self::is_obsolete(self)
    }

    fn delay(handle: &JobHandle) {
        handle.client.delay();
    }
}
