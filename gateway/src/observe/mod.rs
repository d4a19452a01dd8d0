//! Records, figures and warnings for operators.
//!
//! Threads: any.

pub(crate) mod access;
pub(crate) mod line_sink;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod timing;
pub(crate) mod warning;
