//! The span of a request, which contains all its events.
//!
//! Threads: any.

use http::request::Parts;

use crate::environ::id::RequestId;
use crate::environ::target;
use crate::log::{self, Span};
use crate::log_text::LogField;

/// The span of all events of a request, at a level.
macro_rules! request_span {
    ($level:ident, $parts:expr, $id:expr) => {
        log::span!(
            $level,
            "request",
            request_id = %$id,
            method = %LogField($parts.method.as_str()),
            path = %LogField(target::original_path($parts)),
            mount = target::mount_path($parts),
            route = target::route($parts),
            status = log::Empty,
            bytes = log::Empty,
            queue_ms = log::Empty,
            run_ms = log::Empty,
            outcome = log::Empty,
        )
    };
}

/// The span of a request. Costs nothing if no subscriber takes the info level.
pub(crate) fn span(parts: &Parts, id: &RequestId) -> Span {
    request_span!(INFO, parts, id)
}

/// The span for failures, if the first span is disabled.
pub(crate) fn error_span(parts: &Parts, id: &RequestId) -> Span {
    request_span!(ERROR, parts, id)
}
