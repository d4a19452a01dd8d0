//! hyper's service of one connection.
//!
//! Threads: runtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::extract::ConnectInfo;
use http::header::{COOKIE, TRANSFER_ENCODING};
use http::{Extensions, HeaderMap, Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;

use crate::environ::headers::expects_continue;
use crate::serve::body::{RequestBody, ResponseBody};
use crate::serve::http2_streams::StreamExecutor;
use crate::serve::lifecycle::Lifecycle;
use crate::serve::request_scanner::Framing;
use crate::serve::response::{HyperResponseFuture, ResponseProtocol, ServiceCall};
use crate::service::validate::MOST_FIELD_BYTES;
use crate::{BoxError, LocalAddr, Tls};

/// The facts of a connection, as the extensions of each of its requests.
pub(super) fn request_extensions(peer: Option<SocketAddr>, local: Option<LocalAddr>, tls: Option<Tls>) -> Extensions {
    let mut extensions = with_room();
    if let Some(peer) = peer {
        extensions.insert(ConnectInfo(peer));
    }
    if let Some(local) = local {
        extensions.insert(local);
    }
    if let Some(tls) = tls {
        extensions.insert(tls);
    }
    extensions
}

/// Empty extensions whose table has room for seven entries. Clones keep the room: otherwise the entry that a router
/// adds makes the table grow, which costs each request one allocation of 14.
fn with_room() -> Extensions {
    #[derive(Clone)]
    struct Filler<const N: u8>;
    let mut extensions = Extensions::new();
    extensions.insert(Filler::<0>);
    extensions.insert(Filler::<1>);
    extensions.insert(Filler::<2>);
    extensions.insert(Filler::<3>);
    extensions.clear();
    extensions
}

/// The application, as hyper's service of one connection. Adds the connection's facts to each request's extensions.
#[derive(Clone)]
pub(super) struct HyperService<S> {
    app: S,
    /// The extensions of each request.
    extensions: Extensions,
    lifecycle: Arc<Lifecycle>,
    /// On HTTP/2, the executor that spawns the streams.
    streams: Option<StreamExecutor>,
}

impl<S> HyperService<S> {
    pub(super) fn new(app: S, extensions: Extensions, lifecycle: Arc<Lifecycle>) -> Self {
        Self { app, extensions, lifecycle, streams: None }
    }

    /// For a connection on HTTP/2.
    pub(super) fn with_streams(self, executor: StreamExecutor) -> Self {
        Self { streams: Some(executor), ..self }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for HyperService<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = BoxError;
    type Future = HyperResponseFuture<S>;

    fn call(&self, request: Request<Incoming>) -> HyperResponseFuture<S> {
        let is_head = request.method() == Method::HEAD;
        let framing = match request.body().size_hint().exact() {
            // hyper treats a request with this field as chunked, or refuses it.
            Some(length) if !request.headers().contains_key(TRANSFER_ENCODING) => Framing::Sized(length),
            _ => Framing::Chunked,
        };
        let has_body = !request.body().is_end_stream();
        let in_flight = self.lifecycle.begin(framing);
        let protocol = match &self.streams {
            Some(executor) => ResponseProtocol::Http2 { write_timeout: executor.next_stream(), is_head },
            None => ResponseProtocol::Http1 {
                version: request.version(),
                is_head,
                has_body,
                expects_continue: expects_continue(request.version(), request.headers()),
            },
        };
        let is_too_large = self.streams.is_some() && has_too_many_fields(request.headers());
        let mut request = request.map(|incoming| match has_body {
            false => axum::body::Body::empty(),
            true => axum::body::Body::new(RequestBody::new(incoming, &self.lifecycle)),
        });
        // hyper's extensions move into the clone, whose capacity also suffices for what routers add.
        let made = std::mem::replace(request.extensions_mut(), self.extensions.clone());
        if !made.is_empty() {
            request.extensions_mut().extend(made);
        }
        let mut app = self.app.clone();
        // On HTTP/2 the service is called in the task of the stream, not in the task of the connection.
        let is_ready = match protocol {
            ResponseProtocol::Http2 { .. } => Poll::Pending,
            ResponseProtocol::Http1 { .. } => app.poll_ready(&mut Context::from_waker(Waker::noop())),
        };
        let call = match is_ready {
            // On HTTP/1 hyper has refused such a head itself.
            _ if is_too_large => ServiceCall::FieldsTooLarge,
            _ if in_flight.is_none() => {
                ServiceCall::Refused { error: Some("it is not certain where the last request ended".into()) }
            }
            Poll::Ready(Ok(())) => ServiceCall::Made { future: app.call(request) },
            Poll::Ready(Err(error)) => ServiceCall::Refused { error: Some(error.into()) },
            // Rare on HTTP/1: routers are always ready.
            Poll::Pending => ServiceCall::Waits { request: Some(Box::new((app, request))) },
        };
        HyperResponseFuture::new(call, in_flight, protocol)
    }
}

/// hyper's limit for the header fields of an HTTP/1 head.
const MOST_FIELDS: usize = 100;

/// Whether the header fields of an HTTP/2 head exceed the limits of HTTP/1 in size or number. HTTP/2 clients may split
/// a cookie into any number of fields (RFC 9113 §8.2.3): they count as one.
fn has_too_many_fields(fields: &HeaderMap) -> bool {
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let crumbs = fields.get_all(COOKIE).iter().count();
    bytes > MOST_FIELD_BYTES || fields.len() - crumbs + crumbs.min(1) > MOST_FIELDS
}
