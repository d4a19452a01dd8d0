//! Code of a handler that panics outside of the handler: extractors, and destructors of arguments and of responses. Two
//! destructors that panic in one drop end the process, so most of the values below come in pairs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use gateway::{Executor, Gateway, Job, Pool, Refused, RequestIdLayer, Streamed};
use gateway_tests::{Capture, Gate, Server, block_on, recv, until};
use http_body::Frame;
use tower::ServiceExt as _;
use tracing::Level;

use super::pool;

/// A value that panics when it is dropped. It counts its drops.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("in a destructor");
    }
}

impl AsRef<[u8]> for Bomb {
    fn as_ref(&self) -> &[u8] {
        b"hello"
    }
}

type Dropped = Arc<AtomicUsize>;

impl FromRequestParts<Dropped> for Bomb {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, dropped: &Dropped) -> Result<Self, StatusCode> {
        Ok(Self(Arc::clone(dropped)))
    }
}

/// An extractor with an end of its own.
#[derive(Clone, Copy)]
enum Ends {
    Panics,
    PanicsLater,
    PanicsAsItRejects,
    Rejects,
    Waits,
}

struct Extracts<const END: u8>;

impl<S: Send + Sync, const END: u8> FromRequestParts<S> for Extracts<END> {
    type Rejection = Rejection;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Rejection> {
        const ENDS: [Ends; 5] = [Ends::Panics, Ends::PanicsLater, Ends::PanicsAsItRejects, Ends::Rejects, Ends::Waits];
        match ENDS[usize::from(END)] {
            Ends::Panics => panic!("in an extractor"),
            Ends::PanicsLater => {
                tokio::task::yield_now().await;
                panic!("in an extractor")
            }
            Ends::PanicsAsItRejects => Err(Rejection { panics: true }),
            Ends::Rejects => Err(Rejection { panics: false }),
            Ends::Waits => std::future::pending().await,
        }
    }
}

struct Rejection {
    panics: bool,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        assert!(!self.panics, "in a rejection");
        StatusCode::IM_A_TEAPOT.into_response()
    }
}

/// The level of each event of a request, and the end of its record.
#[track_caller]
fn log(capture: &Capture) -> (Vec<Level>, String) {
    let events = capture.events_to_the_record();
    let (records, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.target == "gateway::access");
    assert_eq!(records.len(), 1, "{events:?}");
    (others.iter().map(|event| event.level).collect(), records[0].text.split("outcome=").nth(1).unwrap().to_owned())
}

fn both(router: &Router) -> [Server; 2] {
    [Server::of(router.clone()), Server::with_axum(router.clone())]
}

/// ERR-01, ERR-09, ERR-15, LOG-10: a panic of an extractor is a 500, and the connection goes on.
#[test]
fn a_panic_of_an_extractor_is_a_500() {
    let pool = pool();
    let router = Router::new()
        .route("/now", get(pool.handler(|_: Extracts<0>| "never")))
        .route("/later", get(pool.handler(|_: Bomb, _: Bomb, _: Extracts<1>| "never")))
        .route("/rejection", get(pool.handler(|_: Bomb, _: Extracts<2>| "never")))
        .with_state(Dropped::default())
        .layer(RequestIdLayer::new());
    for server in both(&router) {
        let mut connection = server.connect();
        for path in ["/now", "/later", "/rejection"] {
            let capture = Capture::begin();
            connection.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {}\r\n\r\n", capture.id()));
            let reply = connection.reply();
            assert_eq!((reply.status(), reply.text().as_str()), (500, "Internal Server Error\n"), "{path}");
            assert_eq!(log(&capture), (vec![Level::ERROR], "error ".to_owned()), "{path}");
        }
    }
    assert_eq!(pool.stats().completed, 0);
}

/// HTTP-10: a panic of an extractor ends the connection only if it leaves the body unread, and only where the server
/// leaves that to the gateway.
#[test]
fn a_panic_of_an_extractor_keeps_the_connection_if_the_body_was_read() {
    struct ReadsAndPanics;
    impl<S: Send + Sync> FromRequest<S> for ReadsAndPanics {
        type Rejection = StatusCode;
        async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, StatusCode> {
            let body = Bytes::from_request(request, state).await.map_err(|_| StatusCode::BAD_REQUEST)?;
            panic!("after {} bytes", body.len())
        }
    }
    let pool = pool();
    let router = Router::new()
        .route("/reads", post(pool.handler(|_: ReadsAndPanics| "never")))
        .route("/leaves", post(pool.handler(|_: Extracts<0>| "never")));
    for (server, closes) in [(Server::of(router.clone()), None), (Server::with_axum(router), Some("close"))] {
        let mut connection = server.connect();
        for _ in 0..2 {
            let reply = connection.request("POST /reads HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
            assert_eq!((reply.status(), reply.header("connection")), (500, None));
        }
        let reply = connection.request("POST /leaves HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(reply.status(), 500);
        if closes.is_some() {
            assert_eq!(reply.header("connection"), closes);
        }
    }
}

/// ERR-09, POOL-07: arguments that panic when they are dropped cost neither the response nor the connection, whatever
/// becomes of the call: the pool has no room, or an extractor rejects the request.
#[test]
fn arguments_of_a_call_that_is_never_made_cost_no_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = Pool::builder().threads(1).queue(0).build().unwrap();
    let dropped = Dropped::default();
    let waits = move || {
        waiter.pass("waits");
        "done"
    };
    let router = Router::new()
        .route("/waits", get(pool.handler(waits)))
        .route("/refused", get(pool.handler(|_: Bomb, _: Bomb| "never")))
        .route("/rejected", get(pool.handler(|_: Bomb, _: Bomb, _: Extracts<3>| "never")))
        .with_state(Arc::clone(&dropped));
    let servers = both(&router);
    let mut first = servers[0].ask("/waits");
    assert_eq!(gate.await_call(), "waits");
    for server in &servers {
        let mut connection = server.connect();
        for _ in 0..2 {
            assert_eq!(connection.request("GET /refused HTTP/1.1\r\nHost: h\r\n\r\n").status(), 503);
            assert_eq!(connection.request("GET /rejected HTTP/1.1\r\nHost: h\r\n\r\n").status(), 418);
        }
    }
    gate.open();
    assert_eq!(first.reply().text(), "done");
    assert_eq!((dropped.load(Ordering::SeqCst), pool.stats().shed), (16, 4));
}

/// DISC-05, DISC-13: the same for a client that leaves while the extractors run, or while its job is queued.
#[test]
fn arguments_of_a_client_that_has_left_cost_no_neighbour() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = Pool::builder().threads(1).queue(2).build().unwrap();
    let dropped = Dropped::default();
    let waits = move || {
        waiter.pass("waits");
        "done"
    };
    let router = Router::new()
        .route("/waits", get(pool.handler(waits)))
        .route("/queued", get(pool.handler(|_: Bomb, _: Bomb| "never")))
        .route("/extracts", get(pool.handler(|_: Bomb, _: Bomb, _: Extracts<4>| "never")))
        .with_state(Arc::clone(&dropped));
    let server = Server::of(router.clone());
    let mut first = server.ask("/waits");
    assert_eq!(gate.await_call(), "waits");
    let call = |path: &str| router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    block_on(async {
        for path in ["/extracts", "/queued"] {
            let mut call = Box::pin(call(path));
            assert!(futures_util::poll!(&mut call).is_pending());
            // The client leaves. A panic here would be one of its connection.
            assert!(catch_unwind(AssertUnwindSafe(|| drop(call))).is_ok(), "{path}");
        }
    });
    gate.open();
    assert_eq!(first.reply().text(), "done");
    until("all arguments are dropped", || dropped.load(Ordering::SeqCst) == 4);
    assert_eq!(server.get("/waits").text(), "done");
}

/// A body that panics when it is dropped.
struct BombBody(Option<Bytes>, #[expect(dead_code, reason = "it is only dropped")] Bomb);

impl BombBody {
    fn response(text: &'static str) -> Response {
        let text = Some(Bytes::from_static(text.as_bytes()));
        Body::new(Self(text, Bomb(Dropped::default()))).into_response()
    }
}

impl http_body::Body for BombBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A value in the extensions of a response.
#[derive(Clone)]
struct BombExtension(#[expect(dead_code, reason = "it is only dropped")] Arc<Bomb>);

fn bomb_of(dropped: &Dropped) -> Bomb {
    Bomb(Arc::clone(dropped))
}

/// A value and bytes whose owners panic when they are dropped.
fn owned() -> Response {
    let dropped = Dropped::default();
    let mut response = Body::from(Bytes::from_owner(bomb_of(&dropped))).into_response();
    for name in ["x-one", "x-two"] {
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(bomb_of(&dropped))).unwrap();
        response.headers_mut().insert(name, value);
    }
    response
}

/// A closure that is never called, with a value.
fn streamed() -> Response {
    let bomb = Bomb(Dropped::default());
    Streamed::write(move |write| Ok(std::io::Write::write_all(write, bomb.as_ref())?)).into_response()
}

type Make = fn() -> Response;

/// The response, its status, and its status if it is the rejection of an extractor.
const RESPONSES: [(&str, Make, u16); 7] = [
    ("a body", || BombBody::response("hello"), 200),
    ("a body that is not sent", || (StatusCode::NOT_MODIFIED, BombBody::response("hello")).into_response(), 304),
    ("a body of another length", || ([("content-length", "3")], BombBody::response("hello")).into_response(), 200),
    ("a body of a head that must not be sent", || ([("connection", "x")], BombBody::response("")).into_response(), 500),
    ("owners", owned, 200),
    ("owners of a head that must not be sent", || ([("connection", "x")], owned()).into_response(), 500),
    ("a closure that is not called", || ([("connection", "x")], streamed()).into_response(), 500),
];

fn number(parts: &Parts) -> usize {
    parts.uri.path().rsplit('/').next().unwrap().parse().unwrap()
}

struct RejectsWith;

impl<S: Send + Sync> FromRequestParts<S> for RejectsWith {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Err(RESPONSES[number(parts)].1())
    }
}

/// ERR-09, ERR-15: responses with destructors that panic cost neither their message nor the connection.
#[test]
fn a_response_that_panics_when_it_is_dropped_costs_nothing() {
    let pool = pool();
    let router = Router::new()
        .route("/handler/{number}", get(pool.handler(|parts: Parts| RESPONSES[number(&parts)].1())))
        .route("/rejection/{number}", get(pool.handler(|_: RejectsWith| "never")));
    for server in both(&router) {
        for by in ["handler", "rejection"] {
            for (number, (name, _, status)) in RESPONSES.iter().enumerate() {
                let mut connection = server.connect();
                for _ in 0..2 {
                    let reply = connection.request(&format!("GET /{by}/{number} HTTP/1.1\r\nHost: h\r\n\r\n"));
                    assert_eq!(reply.status(), *status, "{by}, {name}");
                    if *status == 200 {
                        assert!("hello".starts_with(&reply.text()) && reply.text().len() >= 3, "{by}, {name}");
                    }
                    let head = connection.request_head(&format!("/{by}/{number}"));
                    assert_eq!(head.status(), *status, "HEAD, {by}, {name}");
                }
            }
        }
    }
}

/// Runs jobs on threads of its own, and reports whether one panicked.
struct Reports(mpsc::Sender<bool>);

#[async_trait::async_trait]
impl Executor for Reports {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        let report = self.0.clone();
        std::thread::spawn(move || {
            let ran = catch_unwind(AssertUnwindSafe(|| job.run()));
            // The test may have failed.
            let _ = report.send(ran.is_err());
        });
        Ok(())
    }
}

/// ERR-09: [`Job::run`] never panics, whatever the response of a handler does.
#[test]
fn a_job_never_panics() {
    let (report, reported) = mpsc::channel();
    let gateway: Gateway = pool().gateway().executor(Reports(report));
    let extended = || {
        let extension = axum::Extension(BombExtension(Arc::new(Bomb(Dropped::default()))));
        (extension, [("connection", "x")], BombBody::response("")).into_response()
    };
    let handler = move |parts: Parts| match number(&parts) {
        number if number < RESPONSES.len() => RESPONSES[number].1(),
        _ => extended(),
    };
    let router = Router::new().route("/{number}", get(gateway.handler(handler)));
    let server = Server::of(router);
    for number in 0..=RESPONSES.len() {
        let status = RESPONSES.get(number).map_or(500, |(_, _, status)| *status);
        assert_eq!(server.get(&format!("/{number}")).status(), status, "{number}");
        assert!(!recv(&reported), "{number}: the job panicked");
    }
}
