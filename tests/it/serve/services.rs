//! Services that are not routers: they may be ready late, and may fail.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::Body;
use gateway_tests::{Flavour, Stoppable, http2};
use http::{Request, Response};
use tower::{Service, service_fn};

use super::listeners::request;

/// Is ready at the second poll, and then answers; each clone starts again.
#[derive(Debug, Default)]
struct Hesitant {
    was_asked: bool,
    is_ready: bool,
}

impl Clone for Hesitant {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Body>> for Hesitant {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = std::mem::replace(&mut self.was_asked, true);
        if self.is_ready {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(self.is_ready, "called before it was ready");
        ready(Ok(Response::new(Body::from(request.uri().path().to_owned()))))
    }
}

#[test]
fn a_service_is_called_once_it_is_ready() {
    let server = Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, Hesitant::default()));
    let mut connection = server.get("/first");
    assert_eq!(connection.reply().text(), "/first");
    assert_eq!(connection.request("GET /second HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/second");
}

/// Fails in `poll_ready`, or in the call.
#[derive(Debug, Clone)]
struct FailingService {
    early: bool,
}

impl Service<Request<Body>> for FailingService {
    type Response = Response<Body>;
    type Error = &'static str;
    type Future = Ready<Result<Response<Body>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(if self.early { Err("never ready") } else { Ok(()) })
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(!self.early, "called although it has failed");
        ready(Err("not done"))
    }
}

/// The server has no answer to send, so the connection ends, and the server continues.
#[test]
fn a_service_that_fails_ends_its_connection_and_not_the_server() {
    for early in [true, false] {
        let server = Stoppable::start(Flavour::CurrentThread, move |listener| {
            gateway::serve(listener, FailingService { early })
        });
        for _ in 0..2 {
            assert!(server.get("/").reply_or_reset().is_none(), "{early}");
        }
    }
}

/// The requests of one HTTP/2 connection are independent of one another.
#[tokio::test(crate = "crate::bounded")]
async fn a_panicking_service_resets_one_stream() {
    let app = service_fn(|request: Request<Body>| {
        assert_ne!(request.uri().path(), "/panics", "a service that panics when it is called");
        ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    let server = Stoppable::start(Flavour::CurrentThread, move |listener| gateway::serve(listener, app));
    let mut client = http2(server.address()).await;
    assert!(client.send_request(request("/panics")).await.is_err());
    assert_eq!(client.send_request(request("/")).await.unwrap().status(), 200);
}
