//! The field `Content-Length`.
//!
//! Threads: any.

use http::header::{self, HeaderMap, HeaderValue};

/// The length of a body that is not chunked.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    headers.get(header::CONTENT_LENGTH).and_then(parse_length)
}

/// Digits only: no sign, no list, no white space (RFC 9110 §8.6).
pub(crate) fn parse_length(value: &HeaderValue) -> Option<u64> {
    parse_text(value.to_str().ok()?)
}

/// The same for a value as text.
pub(crate) fn parse_text(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
