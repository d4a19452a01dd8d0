//! The time from which reads of a request body fail.
//!
//! Threads: the application's.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(super) enum ReadDeadline {
    None,
    At(Instant),
    /// Set when the job is handed over, after the input was made and before its thread can read.
    Shared(Arc<OnceLock<Instant>>),
}

impl ReadDeadline {
    pub(super) fn has_passed(&self) -> bool {
        let deadline = match self {
            Self::None => None,
            Self::At(deadline) => Some(deadline),
            Self::Shared(deadline) => deadline.get(),
        };
        deadline.is_some_and(|deadline| Instant::now() >= *deadline)
    }
}
