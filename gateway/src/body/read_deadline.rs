//! When reads of a request body end.
//!
//! Threads: pool.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(super) enum ReadDeadline {
    None,
    At(Instant),
    /// The input was made before its job was handed over, which sets the deadline.
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
