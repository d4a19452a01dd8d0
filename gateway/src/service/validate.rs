//! Screens requests: what must not reach an application, whatever it is.
//!
//! Threads: runtime.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header;
use http::request::Parts;
use http::{Method, StatusCode, Version};

use crate::LocalAddr;
use crate::environ::host;

/// The status that refuses a request, if anything in its head is out of order.
///
/// * Fields that mean one thing only must not come twice (RFC 9110 §5.3): whoever stands in front may have read the
///   other one.
/// * An HTTP/1.1 request names its host, in characters that hosts are made of (RFC 9112 §3.2). Those that came over no
///   connection, as in the tests of a router, need not.
/// * On HTTP/2 a `Host` beside an `:authority` is the same (RFC 9113 §8.3.1): a proxy in front may have routed by
///   either. On HTTP/1 there is no such comparison, because RFC 9112 §3.2.2 has the host of an absolute target win, and
///   the field be ignored.
/// * A head is not larger than the largest that hyper promises to refuse, which it does not always do.
/// * A target is a path, or an absolute URL, or `*` for OPTIONS (RFC 9112 §3.2). There are no tunnels through a
///   gateway.
/// * The body is coded as `chunked` and nothing else (RFC 9112 §6.1): any other coding would reach the application as
///   it is.
pub(crate) fn validate_request(parts: &Parts) -> Result<(), StatusCode> {
    let mut host = None;
    let (mut hosts, mut types, mut codings, mut is_plain, mut bytes) = (0, 0, 0, true, 0);
    // One pass costs less than to look for each of them.
    for (name, value) in &parts.headers {
        bytes += name.as_str().len() + value.len();
        match *name {
            header::HOST => {
                hosts += 1;
                host = Some(value);
            }
            header::CONTENT_TYPE => types += 1,
            header::TRANSFER_ENCODING => {
                codings += 1;
                is_plain &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
    }
    if hosts > 1 || types > 1 {
        return Err(StatusCode::BAD_REQUEST);
    }
    if bytes > MOST_FIELD_BYTES {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let is_unclear = match host {
        Some(host) if !host.as_bytes().iter().all(|byte| is_of_host(*byte)) => true,
        Some(host) => parts.version >= Version::HTTP_2 && !host::agrees(&parts.uri, host),
        None => is_anonymous(parts),
    };
    if is_unclear {
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

/// The most bytes of names and values together: 8 KiB, and 4 KiB for each of 100 fields, which is what hyper takes on
/// HTTP/1.
pub(crate) const MOST_FIELD_BYTES: usize = 8192 + 4096 * 100;

/// Whether a byte can be a part of a host and its port (RFC 3986 §3.2.2).
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Whether a request without a `Host` needs one, and names no host otherwise.
fn is_anonymous(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11
        && parts.uri.authority().is_none()
        && (parts.extensions.get::<ConnectInfo<SocketAddr>>().is_some()
            || parts.extensions.get::<LocalAddr>().is_some())
}
