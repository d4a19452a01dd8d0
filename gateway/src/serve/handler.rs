//! What a connection does with its requests.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::ConnectInfo;
use http::{Extensions, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::serve::activity::{Activity, Flight};
use crate::serve::body::{RequestBody, ResponseBody};
use crate::{LocalAddr, Tls};

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
    app: TowerToHyperService<S>,
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
        Self { app: TowerToHyperService::new(app), facts, activity }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Handler<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
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
        let answer = hyper::service::Service::call(&self.app, request);
        Answer { answer, flight: Some(flight), may_be_open_ended }
    }
}

pin_project! {
    /// The response to come.
    pub(super) struct Answer<S>
    where
        S: Service<Request<axum::body::Body>>,
    {
        #[pin]
        answer: TowerToHyperServiceFuture<S, Request<axum::body::Body>>,
        // Until the response has it.
        flight: Option<Flight>,
        may_be_open_ended: bool,
    }
}

impl<S, B> Future for Answer<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx))?;
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
