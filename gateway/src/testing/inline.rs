//! The executor that uses no threads.

use async_trait::async_trait;

use crate::executor::{Accepted, Executor, Refused};
use crate::worker::Job;

/// Runs each job at once, on the thread that hands it over. Deterministic, and for tests only: on a server it would block
/// the runtime.
///
/// Nothing may wait for the runtime while it is busy running the application, so request bodies are read whole before the
/// application is called, and responses are kept whole after.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Inline;

impl Inline {
    /// The executor.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Executor for Inline {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        job.run();
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        job.run();
        Ok(Accepted::at_once())
    }

    fn is_concurrent(&self) -> bool {
        false
    }

    fn is_inline(&self) -> bool {
        true
    }
}
