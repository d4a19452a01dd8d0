//! What a connection does with its requests.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use axum::extract::ConnectInfo;
use http::{Extensions, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::serve::activity::{Activity, Flight};
use crate::serve::body::{RequestBody, ResponseBody};
use crate::{BoxError, LocalAddr, Tls};

/// Extensions that take a few more before their table grows, and so do their copies.
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
    facts: Extensions,
    activity: Arc<Activity>,
}

impl<S> Handler<S> {
    pub(super) fn new(
        app: S,
        (peer, local, tls): (Option<SocketAddr>, Option<LocalAddr>, Option<Tls>),
        activity: Arc<Activity>,
    ) -> Self {
        let mut facts = with_room();
        if let Some(peer) = peer {
            facts.insert(ConnectInfo(peer));
        }
        if let Some(local) = local {
            facts.insert(local);
        }
        if let Some(tls) = tls {
            facts.insert(tls);
        }
        Self { app, facts, activity }
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
        let flight = self.activity.begin();
        // HTTP/1.0 has no other end than that of the connection, for a body whose length nobody knows.
        let may_be_open_ended = request.version() == Version::HTTP_10 && request.method() != Method::HEAD;
        let mut request = request.map(|incoming| match incoming.is_end_stream() {
            true => axum::body::Body::empty(),
            false => axum::body::Body::new(RequestBody::new(incoming, Arc::clone(&self.activity))),
        });
        // The few that hyper has made go into the copy, which has room for what routers add.
        let made = std::mem::replace(request.extensions_mut(), self.facts.clone());
        if !made.is_empty() {
            request.extensions_mut().extend(made);
        }
        let mut app = self.app.clone();
        // On HTTP/2 the service is called in the task of the request, not in that of all of a connection's.
        let is_ready = match request.version() {
            Version::HTTP_2 => Poll::Pending,
            _ => app.poll_ready(&mut Context::from_waker(Waker::noop())),
        };
        let call = match is_ready {
            Poll::Ready(Ok(())) => Call::Made { future: app.call(request) },
            Poll::Ready(Err(error)) => Call::Refused { error: Some(error.into()) },
            // Seldom on HTTP/1, as routers are always ready.
            Poll::Pending => Call::Waits { request: Some(Box::new((app, request))) },
        };
        Answer { call, flight: Some(flight), may_be_open_ended }
    }
}

pin_project! {
    /// The response to come.
    pub(super) struct Answer<S>
    where
        S: Service<Request<axum::body::Body>>,
    {
        #[pin]
        call: Call<S>,
        // Until the response has it.
        flight: Option<Flight>,
        may_be_open_ended: bool,
    }
}

pin_project! {
    /// The call of a service.
    #[project = CallProjection]
    enum Call<S>
    where
        S: Service<Request<axum::body::Body>>,
    {
        /// The service has not said yet that it is ready.
        Waits { request: Option<Box<(S, Request<axum::body::Body>)>> },
        Made { #[pin] future: S::Future },
        Refused { error: Option<BoxError> },
    }
}

impl<S> Future for Call<S>
where
    S: Service<Request<axum::body::Body>, Error: Into<BoxError>>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let future = match self.as_mut().project() {
                CallProjection::Made { future } => return future.poll(cx).map_err(Into::into),
                CallProjection::Refused { error } => {
                    return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                CallProjection::Waits { request } => {
                    let Some(mut waiting) = request.take() else { return Poll::Pending };
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

impl<S, B> Future for Answer<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.call.poll(cx))?;
        // It is there until now, and a future that has resolved is not polled again.
        let Some(flight) = this.flight.take() else { return Poll::Pending };
        if *this.may_be_open_ended && !has_length(&response) {
            flight.activity().opens_ended();
        }
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, flight))))
    }
}

fn has_length<B: Body>(response: &Response<B>) -> bool {
    let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    has_none || response.headers().contains_key(header::CONTENT_LENGTH) || response.body().size_hint().exact().is_some()
}
