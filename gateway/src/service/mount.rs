//! The state that the clones of a gateway share.
//!
//! Threads: any.

use std::sync::Arc;

use crate::environ::mounted::Mounted;
use crate::executor::Executor;
use crate::settings::Settings;

/// An executor and settings. Shared by the clones of a [`Gateway`](crate::Gateway), its handlers and its requests.
#[derive(Clone)]
pub(crate) struct Mount {
    pub(super) executor: Arc<dyn Executor>,
    pub(super) settings: Settings,
}

impl Mount {
    pub(crate) fn executor(&self) -> &Arc<dyn Executor> {
        &self.executor
    }

    /// The limit of a pipe: `bytes`, or none if one thread runs both ends of the request, as it cannot wait for itself.
    pub(crate) fn buffer(&self, bytes: usize) -> usize {
        if self.executor.is_inline() { usize::MAX } else { bytes }
    }
}

impl Mounted for Mount {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn is_concurrent(&self) -> bool {
        self.executor.is_concurrent()
    }
}

partial_debug!(Mount, |this| settings: this.settings);
