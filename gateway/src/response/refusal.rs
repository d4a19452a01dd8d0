//! The gateway's own answers.

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use crate::response::ResponseHead;

/// A short plain-text answer that says no more than its status does (ERR-06).
pub(crate) fn refusal(status: StatusCode) -> (ResponseHead, Bytes) {
    let reason = status.canonical_reason().unwrap_or("Error");
    let body = Bytes::from(format!("{reason}\n"));
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let mut head = ResponseHead::new(status, headers);
    head.set_length(body.len() as u64);
    (head, body)
}
