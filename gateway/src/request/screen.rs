//! Screens requests: what must not reach an application, whatever it is.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use crate::LocalAddr;

/// The status that refuses a request, if anything in its head is out of order.
///
/// * Fields that mean one thing only must not come twice (RFC 9110 §5.3): whoever stands in front may have read the other one.
/// * An HTTP/1.1 request names its host (RFC 9112 §3.2). Those that came over no connection, as in the tests of a router, need not.
/// * A head is not larger than the largest that hyper promises to refuse, which it does not always do.
/// * A target is a path, or an absolute URL, or `*` for OPTIONS (RFC 9112 §3.2). There are no tunnels through a gateway.
/// * The body is coded as `chunked` and nothing else (RFC 9112 §6.1): any other coding would reach the application as it is.
pub(crate) fn screen(parts: &Parts) -> Result<(), StatusCode> {
    if is_repeated(&parts.headers, &header::HOST) || is_repeated(&parts.headers, &header::CONTENT_TYPE) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let head: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head > MOST_BYTES {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    if is_anonymous(parts) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if parts.method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    match parts.uri.path() {
        "*" if parts.method == Method::OPTIONS => {}
        path if path.starts_with('/') => {}
        _ => return Err(StatusCode::BAD_REQUEST),
    }
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_plain || codings.next().is_some() {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    Ok(())
}

/// 8 KiB, and 4 KiB for each of 100 fields.
const MOST_BYTES: usize = 8192 + 4096 * 100;

fn is_repeated(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

fn is_anonymous(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11
        && !parts.headers.contains_key(header::HOST)
        && parts.uri.authority().is_none()
        && (parts.extensions.get::<ConnectInfo<SocketAddr>>().is_some()
            || parts.extensions.get::<LocalAddr>().is_some())
}
