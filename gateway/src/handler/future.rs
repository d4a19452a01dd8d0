//! From a request to the response of a blocking handler.
//!
//! Threads: runtime.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http_body::Body as _;

use crate::body::source::BodySource;
use crate::environ::mounted::Mounted as _;
use crate::environ::span::Routing;
use crate::environ::target;
use crate::handler::extraction::Extraction;
use crate::handler::request_body::BodySlot;
use crate::service::dispatch::Dispatch;
use crate::service::mount::Mount;
use crate::service::response_future::ResponseFuture;
use crate::service::valid_request::ValidRequest;
use crate::test_request::TestRequest;
use crate::work::Work;

/// The future of one request to a [`BlockingHandler`](crate::BlockingHandler), as [`ResponseFuture`] is for a gateway.
#[must_use = "a dropped future counts as a disconnect of the client"]
pub struct HandlerFuture(ResponseFuture);

impl HandlerFuture {
    pub(super) fn of(response: ResponseFuture) -> Self {
        Self(response)
    }

    pub(super) fn new<E, X, C>(mount: &Arc<Mount>, request: Request, extract: E) -> Self
    where
        E: FnOnce(Request) -> X,
        X: Future<Output = Result<C, Response>> + Send + 'static,
        C: FnOnce() -> Response + Send + 'static,
    {
        let (valid, body) = match ValidRequest::of(mount, request) {
            Ok(valid) => valid,
            Err(refused) => return Self(refused),
        };
        let ValidRequest { mut parts, id, span, timing, context, declared, meta } = valid;
        // A failure is logged in a new span if there is none.
        let routing = span.is_disabled().then(|| Routing::of(&parts));
        let work = Work::Handler(None);
        let mut dispatch = Dispatch::new(without_headers(&parts), id, span.clone(), timing, context, mount, work);
        if let Some(routing) = routing {
            dispatch.set_routing(routing);
        }
        let slot = if body.is_end_stream() && declared.unwrap_or(0) == 0 {
            BodySlot::Empty
        } else {
            let limits = dispatch.limits(&parts.headers, mount.settings().read_ahead);
            BodySlot::new(BodySource::new(body, declared, limits), declared, mount, span)
        };
        slot.insert_into(&mut parts.extensions);
        let extractors = extract(Request::from_parts(parts, slot.body()));
        Self(ResponseFuture::extracting(meta, mount, Box::pin(Extraction::new(extractors, dispatch, slot))))
    }
}

/// The part of the head that the log and the response need. The extractors get the request itself.
fn without_headers(parts: &Parts) -> Parts {
    let mut own = http::Request::new(()).into_parts().0;
    own.method = parts.method.clone();
    own.uri = target::original(parts).clone();
    own.version = parts.version;
    if let Some(test) = parts.extensions.get::<TestRequest>() {
        own.extensions.insert(test.clone());
    }
    own
}

impl Future for HandlerFuture {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let Ok::<_, Infallible>(response) = std::task::ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(response.map(Body::new))
    }
}

impl fmt::Debug for HandlerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
