//! What the program's operators are told: records, figures and warnings.
//!
//! Threads: any.

pub(crate) mod access;
pub(crate) mod line_sink;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod timing;
pub(crate) mod warning;
