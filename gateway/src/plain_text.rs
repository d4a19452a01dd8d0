//! Plain-text responses for operators.
//!
//! Threads: runtime.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};

use crate::response::body::Body;

/// A response that must not be cached; without its body for HEAD.
pub(crate) fn plain(method: &Method, status: StatusCode, text: String) -> Response<Body> {
    let body = if method == Method::HEAD { Body::bodiless() } else { Body::whole(Bytes::from(text)) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
