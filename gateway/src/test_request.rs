//! The mark of a request from a test client.
//!
//! Threads: any.

use std::sync::{Arc, OnceLock};

/// An extension of the requests that [`testing::Client`](crate::testing::Client) sends. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestRequest {
    failure: Arc<OnceLock<String>>,
}

impl TestRequest {
    /// Keeps the failure of the application for the test: the first, if the request is copied.
    pub(crate) fn set_failure(&self, description: String) {
        // A later failure is in the log, as the first is.
        let _ = self.failure.set(description);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }
}
