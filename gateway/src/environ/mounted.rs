//! The mount, as an environ sees it.
//!
//! Threads: any.

use std::fmt;

use crate::settings::Settings;

/// The mount of a request, as its environ sees it.
pub(crate) trait Mounted: fmt::Debug + Send + Sync {
    fn settings(&self) -> &Settings;

    /// Whether two requests may run at the same time.
    fn is_concurrent(&self) -> bool;
}
