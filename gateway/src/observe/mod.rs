//! Records, figures and warnings for operators.
//!
//! Threads: any.

pub(crate) mod access;
#[cfg(feature = "metrics")]
pub(crate) mod description;
pub(crate) mod line_sink;
pub(crate) mod metrics;
pub(crate) mod mount_counts;
pub(crate) mod outcome;
pub(crate) mod timing;
pub(crate) mod warning;
