//! What a pool observes of its jobs.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::Duration;

use crate::environ::mounted::Mounted;
use crate::job::Job;
use crate::pool::queue::QueueItem;
use crate::response::message::ResponseWatch;

/// What a pool observes of a running job, and can do to it.
#[derive(Debug)]
pub(crate) struct JobHandle {
    /// The mount of its request.
    pub(crate) mount: Arc<dyn Mounted>,
    /// The state of the response: whether the client still waits for it.
    pub(crate) client: ResponseWatch,
}

impl QueueItem for Job {
    type Handle = JobHandle;

    fn handle(&self) -> JobHandle {
        JobHandle { mount: Arc::clone(self.environ().mount()), client: self.client() }
    }

    fn is_obsolete(&self) -> bool {
        Self::is_obsolete(self)
    }

    fn delay(handle: &JobHandle) {
        handle.client.delay();
    }

    fn ran(handle: &JobHandle, took: Duration) {
        handle.mount.settings().run_times.add(took);
    }
}
