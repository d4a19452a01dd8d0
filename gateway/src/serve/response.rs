//! The response to one request, until hyper has its head.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::BoxError;
use crate::bodiless::has_no_body;
use crate::serve::body::ResponseBody;
use crate::serve::http2_streams::WriteTimeout;
use crate::serve::lifecycle::{InFlight, Lifecycle, RequestBodyState};
use crate::service::keep_alive::end_connection;

pin_project! {
    /// The future of a response.
    pub(super) struct HyperResponseFuture<S>
    where
        S: Service<Request<axum::body::Body>>,
    {
        #[pin]
        call: ServiceCall<S>,
        // Moves to the response body.
        in_flight: Option<InFlight>,
        protocol: ResponseProtocol,
        // The response, while the rest of the request body is discarded.
        response: Option<S::Response>,
        discarding: Option<Discarding>,
    }
}

/// The parameters of a response, per protocol.
pub(super) enum ResponseProtocol {
    Http1 { version: Version, is_head: bool, has_body: bool, expects_continue: bool },
    Http2 { write_timeout: Arc<WriteTimeout>, is_head: bool },
}

pin_project! {
    /// The call of a service.
    #[project = ServiceCallProjection]
    pub(super) enum ServiceCall<S>
    where
        S: Service<Request<axum::body::Body>>,
    {
        /// The service is not ready yet.
        Waits { request: Option<Box<(S, Request<axum::body::Body>)>> },
        Made { #[pin] future: S::Future },
        Refused { error: Option<BoxError> },
        /// The service is not called: the header fields exceed the limits of HTTP/1.
        FieldsTooLarge,
    }
}

impl<S> ServiceCall<S>
where
    S: Service<Request<axum::body::Body>, Error: Into<BoxError>>,
{
    /// The response of the service; `None` if it is not called.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<S::Response>, BoxError>> {
        loop {
            let future = match self.as_mut().project() {
                ServiceCallProjection::Made { future } => return future.poll(cx).map_ok(Some).map_err(Into::into),
                ServiceCallProjection::Refused { error } => {
                    let error = error.take().unwrap_or_else(|| "the service has failed before".into());
                    return Poll::Ready(Err(error));
                }
                ServiceCallProjection::FieldsTooLarge => return Poll::Ready(Ok(None)),
                ServiceCallProjection::Waits { request } => {
                    let Some(mut waiting) = request.take() else {
                        return Poll::Ready(Err("the service has failed before".into()));
                    };
                    if waiting.0.poll_ready(cx).map_err(Into::into)?.is_pending() {
                        *request = Some(waiting);
                        return Poll::Pending;
                    }
                    let (mut app, request) = *waiting;
                    app.call(request)
                }
            };
            self.set(Self::Made { future });
        }
    }
}

impl<S> HyperResponseFuture<S>
where
    S: Service<Request<axum::body::Body>>,
{
    pub(super) fn new(call: ServiceCall<S>, in_flight: Option<InFlight>, protocol: ResponseProtocol) -> Self {
        Self { call, in_flight, protocol, response: None, discarding: None }
    }
}

impl<S, B> Future for HyperResponseFuture<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.response.is_none() {
            let response = ready!(this.call.poll(cx))?;
            if let (ResponseProtocol::Http1 { has_body: true, expects_continue, .. }, Some(in_flight)) =
                (&*this.protocol, &*this.in_flight)
                && let Some(left) = in_flight.lifecycle().take_leftover()
            {
                // Reading would send 100 Continue to a client that waits for it.
                *this.discarding = (!*expects_continue).then(|| Discarding::new(left));
            }
            let Some(response) = response else {
                return Poll::Ready(this.in_flight.take().map(fields_too_large).ok_or_else(|| "no request".into()));
            };
            *this.response = Some(response);
        }
        if let (Some(discarding), Some(in_flight)) = (&mut *this.discarding, &*this.in_flight) {
            let lifecycle = in_flight.lifecycle();
            if ready!(discarding.poll(lifecycle, cx)) {
                lifecycle.with(|machine| machine.set_body(machine.exchange, RequestBodyState::Read));
            }
            *this.discarding = None;
        }
        let (Some(mut response), Some(in_flight)) = (this.response.take(), this.in_flight.take()) else {
            panic!("`HyperResponseFuture` polled after completion")
        };
        let write_timeout = match this.protocol {
            ResponseProtocol::Http2 { is_head, .. } if *is_head || has_no_body(response.status()) => {
                // The head must end the stream: a declared length with an empty `DATA` frame after it is malformed (RFC
                // 9113 §8.1.1).
                return Poll::Ready(Ok(response.map(|_| ResponseBody::new(None, in_flight, None))));
            }
            ResponseProtocol::Http2 { write_timeout, .. } => {
                write_timeout.wait_for_peer();
                Some(Arc::clone(write_timeout))
            }
            ResponseProtocol::Http1 { version, is_head, .. } => {
                let lifecycle = in_flight.lifecycle();
                // On HTTP/1.0 a body without a length is close-delimited.
                let close_delimited = *version == Version::HTTP_10 && !*is_head && !has_length(&response);
                let ends = lifecycle.responds(close_delimited);
                if ends && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    end_connection(&mut response, *version);
                }
                None
            }
        };
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(Some(body), in_flight, write_timeout))))
    }
}

fn fields_too_large<B>(in_flight: InFlight) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::new(None, in_flight, None));
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}

fn has_length<B: Body>(response: &Response<B>) -> bool {
    has_no_body(response.status())
        || response.headers().contains_key(CONTENT_LENGTH)
        || response.body().size_hint().exact().is_some()
}

/// The rest of a request body that the handler did not read. If it is small and already received, it is discarded and
/// the connection is kept; an unread body closes the connection.
struct Discarding {
    left: Incoming,
    /// How many more bytes may be discarded.
    bytes: u64,
    /// How many more times the body may be polled.
    turns: u8,
}

const MOST_DISCARDED: u64 = 64 * 1024;
const MOST_TURNS: u8 = 16;

impl Discarding {
    fn new(left: Incoming) -> Self {
        Self { left, bytes: MOST_DISCARDED, turns: MOST_TURNS }
    }

    /// Returns whether the body was read to its end. Does not wait for bytes from the client.
    fn poll(&mut self, lifecycle: &Lifecycle, cx: &mut Context<'_>) -> Poll<bool> {
        if self.left.size_hint().lower() > self.bytes {
            return Poll::Ready(false);
        }
        loop {
            if self.left.is_end_stream() {
                return Poll::Ready(true);
            }
            match Pin::new(&mut self.left).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame)))
                    if frame.is_trailers() && !lifecycle.read_trailers(lifecycle.with(|machine| machine.exchange)) =>
                {
                    return Poll::Ready(false);
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(bytes) = self.bytes.checked_sub(length) else { return Poll::Ready(false) };
                    self.bytes = bytes;
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(None) => return Poll::Ready(true),
                // The poll asked hyper for bytes; hyper reads them after this future returns. Poll again then.
                Poll::Pending if !lifecycle.with(|machine| machine.input_is_empty) && self.turns > 0 => {
                    self.turns -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Ready(false),
            }
        }
    }
}
