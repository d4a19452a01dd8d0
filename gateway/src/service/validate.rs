//! Refuses requests that must not reach any application.
//!
//! Threads: runtime.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use http::{Method, StatusCode, Version};

use crate::LocalAddr;
use crate::declared_length::parse_length;
use crate::environ::host;

/// Validates the head of a request; the error is the status that refuses it.
///
/// * A field with a single meaning must not appear twice (RFC 9110 §5.3): a proxy in front may have read the other one.
///   A length may be repeated, not contradicted (RFC 9110 §8.6). hyper and h2 refuse that, too, but before 0.4.20 h2
///   compared the body with the first length alone.
/// * An HTTP/1.1 request names its host, and what names a host is valid (RFC 9112 §3.2). A request without a
///   connection, as in the tests of a router, need not.
/// * On HTTP/2 an `:authority` has no user information (RFC 9113 §8.3.1).
/// * On HTTP/2 a `Host` beside an `:authority` is equal to it (RFC 9113 §8.3.1): a proxy in front may have routed by
///   either. HTTP/1 needs no comparison: there the host of an absolute target takes precedence, and the field is
///   ignored (RFC 9112 §3.2.2).
/// * A head is at most as large as the limit that hyper documents but does not always enforce.
/// * A target is a path, an absolute URL, or `*` for OPTIONS (RFC 9112 §3.2). A gateway opens no tunnels.
/// * The body is coded as `chunked` and nothing else (RFC 9112 §6.1): any other coding would reach the application
///   undecoded.
pub(crate) fn validate_request(parts: &Parts) -> Result<(), StatusCode> {
    let (mut host, mut length, mut is_contradictory) = (None, None, false);
    let (mut hosts, mut types, mut codings, mut is_plain, mut bytes) = (0, 0, 0, true, 0);
    // One pass costs less than a lookup for each field.
    for (name, value) in &parts.headers {
        bytes += name.as_str().len() + value.len();
        match *name {
            header::HOST => {
                hosts += 1;
                host = Some(value);
            }
            header::CONTENT_TYPE => types += 1,
            header::CONTENT_LENGTH => {
                let parsed = parse_length(value);
                is_contradictory |= *length.get_or_insert(parsed) != parsed;
            }
            header::TRANSFER_ENCODING => {
                codings += 1;
                is_plain &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
    }
    if hosts > 1 || types > 1 || is_contradictory {
        return Err(StatusCode::BAD_REQUEST);
    }
    if bytes > MOST_FIELD_BYTES {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let is_http2 = parts.version >= Version::HTTP_2;
    let is_unclear = match host {
        Some(host) if !host::is_valid(host.as_bytes()) => true,
        Some(host) => is_http2 && !host::agrees(&parts.uri, host),
        None => is_anonymous(parts),
    };
    let is_invalid = |authority: &Authority| {
        let (host, authority) = (host::in_authority(authority), authority.as_str());
        !host::is_valid(host.as_bytes()) || is_http2 && host.len() < authority.len()
    };
    if is_unclear || parts.uri.authority().is_some_and(is_invalid) {
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
    if codings > 1 || !is_plain {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    Ok(())
}

/// The most bytes of names and values together: 8 KiB, and 4 KiB for each of 100 fields, as hyper accepts on HTTP/1.
pub(crate) const MOST_FIELD_BYTES: usize = 8192 + 4096 * 100;

/// Whether a request needs a `Host` but has neither that nor a host in its target.
fn is_anonymous(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11
        && parts.uri.authority().is_none()
        && (parts.extensions.get::<ConnectInfo<SocketAddr>>().is_some()
            || parts.extensions.get::<LocalAddr>().is_some())
}
