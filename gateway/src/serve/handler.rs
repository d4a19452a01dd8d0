//! What a connection does with its requests.
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
use tokio::time::Duration;
use tower_service::Service;

use crate::connection_context::ConnectionContext;
use crate::environ::variables::expects_continue;
use crate::serve::answer::{Answer, AnswerTo, Call};
use crate::serve::body::{RequestBody, ResponseBody};
use crate::serve::lifecycle::Lifecycle;
use crate::serve::request_scanner::Framing;
use crate::serve::streams::StreamExecutor;
use crate::service::validate::MOST_FIELD_BYTES;
use crate::{BoxError, LocalAddr, Tls};

/// Where a connection comes from.
pub(super) type ConnectionInfo = (Option<SocketAddr>, Option<LocalAddr>, Option<Tls>);

/// Empty extensions whose table has capacity for four entries. Clones keep the capacity.
fn with_room() -> Extensions {
    #[derive(Clone)]
    struct Place<const N: u8>;
    let mut extensions = Extensions::new();
    extensions.insert(Place::<0>);
    extensions.insert(Place::<1>);
    extensions.insert(Place::<2>);
    extensions.insert(Place::<3>);
    extensions.clear();
    extensions
}

/// The application as one connection sees it. Tells each request where it came from.
#[derive(Clone)]
pub(super) struct Handler<S> {
    app: S,
    /// What each request is told.
    info: Extensions,
    lifecycle: Arc<Lifecycle>,
    /// On HTTP/2, the executor that spawns the streams, and their write timeout.
    streams: Option<(StreamExecutor, Duration)>,
}

impl<S> Handler<S> {
    pub(super) fn new(app: S, info: ConnectionInfo, context: ConnectionContext, lifecycle: Arc<Lifecycle>) -> Self {
        let (peer, local, tls) = info;
        let mut info = with_room();
        info.insert(context);
        if let Some(peer) = peer {
            info.insert(ConnectInfo(peer));
        }
        if let Some(local) = local {
            info.insert(local);
        }
        if let Some(tls) = tls {
            info.insert(tls);
        }
        Self { app, info, lifecycle, streams: None }
    }

    /// The same for a connection on HTTP/2.
    pub(super) fn with_streams(self, executor: StreamExecutor, write_stall: Duration) -> Self {
        Self { streams: Some((executor, write_stall)), ..self }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Handler<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = BoxError;
    type Future = Answer<S>;

    fn call(&self, request: Request<Incoming>) -> Answer<S> {
        let is_head = request.method() == Method::HEAD;
        let framing = match request.body().size_hint().exact() {
            // hyper takes a message with this field for a chunked one, or refuses it.
            Some(length) if !request.headers().contains_key(TRANSFER_ENCODING) => Framing::Sized(length),
            _ => Framing::Chunked,
        };
        let has_body = !request.body().is_end_stream();
        let in_flight = self.lifecycle.begin(framing);
        let protocol = match &self.streams {
            Some((executor, write_stall)) => AnswerTo::Http2 { clock: executor.next_stream(*write_stall), is_head },
            None => AnswerTo::Http1 {
                version: request.version(),
                is_head,
                expects_continue: expects_continue(request.headers()),
            },
        };
        let is_too_large = self.streams.is_some() && has_too_many_fields(request.headers());
        let mut request = request.map(|incoming| match has_body {
            false => axum::body::Body::empty(),
            true => axum::body::Body::new(RequestBody::new(incoming, &self.lifecycle)),
        });
        // hyper's extensions move into the clone, whose capacity also suffices for what routers add.
        let made = std::mem::replace(request.extensions_mut(), self.info.clone());
        if !made.is_empty() {
            request.extensions_mut().extend(made);
        }
        let mut app = self.app.clone();
        // On HTTP/2 the service is called in the task of the request, not in that of all of a connection's.
        let is_ready = match protocol {
            AnswerTo::Http2 { .. } => Poll::Pending,
            AnswerTo::Http1 { .. } => app.poll_ready(&mut Context::from_waker(Waker::noop())),
        };
        let call = match is_ready {
            // hyper has refused such a head itself on HTTP/1.
            _ if is_too_large => Call::FieldsTooLarge,
            _ if in_flight.is_none() => {
                Call::Refused { error: Some("it is not certain where the last request ended".into()) }
            }
            Poll::Ready(Ok(())) => Call::Made { future: app.call(request) },
            Poll::Ready(Err(error)) => Call::Refused { error: Some(error.into()) },
            // Seldom on HTTP/1, as routers are always ready.
            Poll::Pending => Call::Waits { request: Some(Box::new((app, request))) },
        };
        Answer::new(call, in_flight, protocol)
    }
}

/// The most fields of a head, as hyper has it on HTTP/1.
const MOST_FIELDS: usize = 100;

/// Whether the fields of a head on HTTP/2 are larger, or more, than those of any head on HTTP/1. A cookie is one field
/// there, and as many as its client likes here (RFC 9113 §8.2.3).
fn has_too_many_fields(fields: &HeaderMap) -> bool {
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let crumbs = fields.get_all(COOKIE).iter().count();
    bytes > MOST_FIELD_BYTES || fields.len() - crumbs + crumbs.min(1) > MOST_FIELDS
}
