//! Statuses whose responses have no body.
//!
//! Threads: any.

use http::StatusCode;

/// Whether HTTP gives the response to this status no body, whatever its headers say (RFC 9110 §6.4.1).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
