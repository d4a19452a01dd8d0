//! What a pool knows of its jobs.
//!
//! Threads: any.

use std::sync::Arc;

use crate::job::Job;
use crate::pipe::Watch;
use crate::pool::queue::Item;
use crate::response::body::Aborted;
use crate::response::message::Message;

/// What a pool knows of a job that runs.
#[derive(Debug)]
pub(crate) struct JobHandle {
    /// The name of its mount.
    pub(crate) name: Arc<str>,
    /// On the response: whether anybody still waits for it.
    pub(crate) client: Watch<Message, Aborted>,
}

impl Item for Job {
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
