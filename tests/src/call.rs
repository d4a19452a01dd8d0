//! A gateway, driven without a server.

use bytes::Bytes;
use gateway::{Gateway, ResponseFuture};
use http_body_util::Empty;
use tower::Service as _;

/// Calls the gateway with a GET, as a router does. The future resolves to the response.
pub fn call(gateway: &Gateway, path: &str) -> ResponseFuture {
    let request = http::Request::get(path).body(Empty::<Bytes>::new()).expect("a path");
    gateway.clone().call(request)
}
