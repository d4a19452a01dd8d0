//! An executor without threads.
//!
//! Threads: the test's; blocks.

use async_trait::async_trait;

use crate::executor::{Accepted, Executor, Refused};
use crate::job::Job;

/// Runs each job at once, on the thread that hands it over. Deterministic, and for tests only: a server's runtime would
/// block.
///
/// The runtime cannot make progress while it runs the application, so request bodies are read whole before the call,
/// and responses are buffered whole.
///
/// # Example
///
/// ```
/// use gateway::testing::{Client, Inline};
/// use gateway::{Chunks, Gateway, application_fn};
///
/// let app = application_fn(|_, start_response| {
///     start_response("200 OK", &[])?;
///     Ok(Chunks::new([format!("{:?}", std::thread::current().id())]))
/// });
/// let client = Client::of(Gateway::new(app).executor(Inline::new()));
/// assert_eq!(client.get("/").text(), format!("{:?}", std::thread::current().id()));
/// ```
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
