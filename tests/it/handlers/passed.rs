//! A table of the bodies that a handler, or the rejection of an extractor, passes to the server: the client's view and
//! the log, on each server and each version of HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use gateway::{RequestIdLayer, Streamed};
use gateway_tests::{Capture, Ending, Logged, Server, block_on, http2};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use tracing::Level;

use super::pool;

/// One body.
pub(super) struct Row {
    pub(super) name: &'static str,
    make: fn() -> Response,
    pub(super) status: u16,
    /// The bytes that the server gets.
    pub(super) body: &'static str,
    /// How the message ends on HTTP/1.
    ending: Ending,
    /// How the response ends on record, without its mark of a rejection.
    pub(super) outcome: &'static str,
    /// The events, without those below the level of warnings.
    pub(super) log: &'static [Level],
}

/// A body that says too much: its frames, one in each poll, and its hints.
#[derive(Default)]
struct Says {
    frames: std::vec::IntoIter<Step>,
    length: Option<u64>,
    has_ended: bool,
    hint_panics: bool,
}

enum Step {
    Data(&'static str),
    Trailers,
    Wait,
    Fail,
    Panic,
}

fn says(frames: impl Into<Vec<Step>>) -> Says {
    Says { frames: frames.into().into_iter(), ..Says::default() }
}

impl http_body::Body for Says {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(match self.frames.next() {
            Some(Step::Data(text)) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Some(Step::Trailers) => {
                Some(Ok(Frame::trailers([("x-sum".parse().unwrap(), 5.into())].into_iter().collect())))
            }
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Fail) => Some(Err(std::io::Error::other("trouble"))),
            Some(Step::Panic) => panic!("trouble"),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended && self.frames.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        assert!(!self.hint_panics, "trouble");
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn respond(body: Says) -> Response {
    Body::new(body).into_response()
}

fn declare(length: &'static str, body: Says) -> Response {
    ([("content-length", length)], Body::new(body)).into_response()
}

fn hint(length: u64, body: Says) -> Response {
    respond(Says { length: Some(length), ..body })
}

use Step::{Data, Fail, Panic, Trailers, Wait};

const PAGE: &str = "Internal Server Error\n";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { name: "a text", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[],
          make: || "hello".into_response() },
    Row { name: "nothing", status: 200, body: "", ending: Ending::Length, outcome: "complete", log: &[],
          make: || ().into_response() },
    Row { name: "a stream", status: 200, body: "hello", ending: Ending::Chunked, outcome: "complete", log: &[],
          make: || respond(says([Data("hel"), Data("lo")])) },
    Row { name: "a stream that waits, with empty frames", status: 200, body: "hello", ending: Ending::Chunked, outcome: "complete", log: &[],
          make: || respond(says([Wait, Data("hel"), Data(""), Wait, Data("lo"), Wait])) },
    Row { name: "a stream that says when it has ended", status: 200, body: "hello", ending: Ending::Chunked, outcome: "complete", log: &[],
          make: || respond(Says { has_ended: true, ..says([Data("hel"), Data("lo")]) }) },
    Row { name: "an empty stream", status: 200, body: "", ending: Ending::Chunked, outcome: "complete", log: &[],
          make: || respond(says([])) },
    Row { name: "a stream with trailers", status: 200, body: "hello", ending: Ending::Chunked, outcome: "complete", log: &[],
          make: || respond(says([Data("hello"), Trailers])) },
    Row { name: "a stream of its declared length", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[],
          make: || declare("5", says([Data("hel"), Wait, Data("lo")])) },
    Row { name: "a stream of its hint", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[],
          make: || hint(5, says([Data("hel"), Data("lo")])) },
    Row { name: "a stream below its declared length", status: 200, body: "hello", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || declare("10", says([Data("hel"), Data("lo")])) },
    Row { name: "a stream that says that it has ended below its declared length", status: 200, body: "hello", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || declare("10", Says { has_ended: true, ..says([Data("hel"), Data("lo")]) }) },
    Row { name: "trailers below the declared length", status: 200, body: "hello", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || declare("10", says([Data("hello"), Trailers])) },
    Row { name: "a stream below its hint", status: 200, body: "hello", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || hint(10, says([Data("hel"), Data("lo")])) },
    Row { name: "a stream beyond its declared length", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[Level::WARN],
          make: || declare("5", says([Data("hel"), Data("low"), Data("!")])) },
    Row { name: "a stream beyond its hint", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[Level::WARN],
          make: || hint(5, says([Data("hellow")])) },
    // As for applications: nothing is asked for beyond the length, and nothing is known of it.
    Row { name: "frames beyond the declared length", status: 200, body: "hello", ending: Ending::Length, outcome: "complete", log: &[],
          make: || declare("5", says([Data("hello"), Panic])) },
    Row { name: "a text of another length than declared", status: 500, body: PAGE, ending: Ending::Length, outcome: "error", log: &[Level::ERROR],
          make: || ([("content-length", "10")], "hello").into_response() },
    Row { name: "nothing, where a length is declared", status: 500, body: PAGE, ending: Ending::Length, outcome: "error", log: &[Level::ERROR],
          make: || declare("10", Says { has_ended: true, ..says([]) }) },
    Row { name: "a hint that panics", status: 500, body: PAGE, ending: Ending::Length, outcome: "error", log: &[Level::ERROR],
          make: || respond(Says { hint_panics: true, ..says([Data("hello")]) }) },
    Row { name: "a head that must not be sent", status: 500, body: PAGE, ending: Ending::Length, outcome: "error", log: &[Level::ERROR],
          make: || ([("connection", "x-a")], "hello").into_response() },
    Row { name: "a status that ends no exchange", status: 500, body: PAGE, ending: Ending::Length, outcome: "error", log: &[Level::ERROR],
          make: || StatusCode::CONTINUE.into_response() },
    Row { name: "a stream that fails", status: 200, body: "hel", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || respond(says([Data("hel"), Fail, Data("lo")])) },
    Row { name: "a stream that fails within its length", status: 200, body: "hel", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || declare("5", says([Data("hel"), Fail, Data("lo")])) },
    Row { name: "a stream that panics", status: 200, body: "hel", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || respond(says([Data("hel"), Wait, Panic, Data("lo")])) },
    Row { name: "a stream that panics within its length", status: 200, body: "hel", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || declare("5", says([Data("hel"), Panic, Data("lo")])) },
    Row { name: "a stream that panics at once", status: 200, body: "", ending: Ending::Broken, outcome: "aborted", log: &[Level::ERROR],
          make: || respond(says([Panic])) },
];

/// Who responds with the body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    Handler,
    Rejection,
}

impl By {
    pub(super) const ALL: [Self; 2] = [Self::Handler, Self::Rejection];

    fn path(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Rejection => "rejection",
        }
    }

    pub(super) fn outcome(self, row: &Row) -> &'static str {
        match (self, row.outcome) {
            (Self::Rejection, "complete") => "refused",
            (_, outcome) => outcome,
        }
    }
}

fn row(parts: &Parts) -> &'static Row {
    &ROWS[parts.uri.path().rsplit('/').next().unwrap().parse::<usize>().unwrap()]
}

struct Answer(&'static Row);

impl<S: Send + Sync> FromRequestParts<S> for Answer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(row(parts)))
    }
}

struct Rejects;

impl<S: Send + Sync> FromRequestParts<S> for Rejects {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Err((row(parts).make)())
    }
}

pub(super) fn router() -> Router {
    let pool = pool();
    Router::new()
        .route("/handler/{row}", get(pool.handler(|Answer(row): Answer| (row.make)())))
        .route("/rejection/{row}", get(pool.handler(|_: Rejects| "never")))
        .route("/next", get(pool.handler(|| "next")))
        .layer(RequestIdLayer::new())
}

pub(super) fn paths() -> impl Iterator<Item = (By, String, &'static Row)> {
    By::ALL
        .into_iter()
        .flat_map(|by| ROWS.iter().enumerate().map(move |(number, row)| (by, format!("/{}/{number}", by.path()), row)))
}

/// The events of a response: the one record, and those of warnings and failures.
#[track_caller]
pub(super) fn check_log(events: &[Logged], by: By, row: &Row, bytes: Option<usize>) {
    let (records, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.target == "gateway::access");
    assert_eq!(records.len(), 1, "{by:?}, {}: {events:?}", row.name);
    let (record, outcome) = (&records[0].text, by.outcome(row));
    assert!(record.contains(&format!("status={} ", row.status)), "{by:?}, {}: {record}", row.name);
    assert!(record.ends_with(&format!("outcome={outcome} ")), "{by:?}, {}: {record}", row.name);
    if let Some(bytes) = bytes {
        assert!(record.contains(&format!(" bytes={bytes} ")), "{by:?}, {}: {record}", row.name);
    }
    let levels: Vec<_> = others.iter().map(|event| event.level).filter(|level| *level <= Level::WARN).collect();
    assert_eq!(levels, row.log, "{by:?}, {}: {others:?}", row.name);
}

fn servers() -> [Server; 2] {
    [Server::of(router()), Server::with_axum(router())]
}

/// ERR-01, ERR-04, ERR-05, ERR-09, HTTP-11 to HTTP-15, IT-10, LOG-10, LOG-12.
#[test]
fn every_passed_body_ends_as_the_table_says() {
    for server in servers() {
        for (by, path, row) in paths() {
            let capture = Capture::begin();
            let mut connection = server.connect();
            connection.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {}\r\n\r\n", capture.id()));
            let reply = connection.reply();
            let seen = (reply.status(), reply.text(), reply.ending);
            assert_eq!(seen, (row.status, row.body.to_owned(), row.ending), "{by:?}, {}", row.name);
            if row.ending != Ending::Broken {
                assert_eq!(connection.request("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").text(), "next", "{}", row.name);
            }
            check_log(&capture.events_to_the_record(), by, row, Some(row.body.len()));
        }
    }
}

/// HTTP-11, HTTP-12, HTTP-17, ERR-05, ERR-14: the same on HTTP/2, where all streams share the connection.
#[test]
fn every_passed_body_ends_on_http_2_as_the_table_says() {
    for server in servers() {
        block_on(async {
            let mut client = http2(server.address()).await;
            for (by, path, row) in paths() {
                let capture = Capture::begin();
                let request = Request::get(format!("http://h{path}")).header("x-request-id", capture.id());
                let sent = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await;
                let taken = match sent {
                    Ok(response) => {
                        assert_eq!(response.status().as_u16(), row.status, "{by:?}, {}", row.name);
                        response.into_body().collect().await
                    }
                    // The reset may overtake the head.
                    Err(error) => Err(error),
                };
                assert_eq!(taken.is_err(), row.ending == Ending::Broken, "{by:?}, {}: {taken:?}", row.name);
                if let Ok(body) = taken {
                    assert_eq!(body.to_bytes(), row.body, "{by:?}, {}", row.name);
                }
                check_log(&capture.events_to_the_record(), by, row, Some(row.body.len()));
            }
        });
    }
}

/// END-09, HTTP-01, HTTP-02: the response to HEAD has no body, and is complete.
#[test]
fn every_passed_body_is_left_out_of_the_response_to_head() {
    for server in servers() {
        for (by, path, row) in paths() {
            let capture = Capture::begin();
            let mut connection = server.connect();
            connection.send(&format!("HEAD {path} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {}\r\n\r\n", capture.id()));
            let reply = connection.reply_to_head();
            // A length that contradicts the body is no failure where no body is sent.
            let is_failure = reply.status() == 500;
            assert!(!is_failure || row.status == 500, "{by:?}, {}", row.name);
            assert_eq!(connection.request("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").text(), "next", "{}", row.name);
            let events = capture.events_to_the_record();
            let record = events.iter().find(|event| event.target == "gateway::access").unwrap();
            let outcome = match (is_failure, by) {
                (true, _) => "error",
                (false, By::Handler) => "complete",
                (false, By::Rejection) => "refused",
            };
            assert!(record.text.contains(" bytes=0 "), "{by:?}, {}: {record:?}", row.name);
            assert!(record.text.ends_with(&format!("outcome={outcome} ")), "{by:?}, {}: {record:?}", row.name);
        }
    }
}

/// HTTP-04: neither 204 nor 304 has a body, and the next request on the connection is not disturbed.
#[test]
fn a_status_without_a_body_has_none_from_a_handler_either() {
    let answers = |status: StatusCode| {
        let pool = pool();
        let make = move || (status, declare("5", says([Data("hello")]))).into_response();
        let rejects = move |_: Parts| make();
        Router::new().route("/", get(pool.handler(rejects))).route("/next", get(pool.handler(|| "next")))
    };
    for (status, length) in [(StatusCode::NO_CONTENT, None), (StatusCode::NOT_MODIFIED, Some("5"))] {
        for server in [Server::of(answers(status)), Server::with_axum(answers(status))] {
            let mut connection = server.connect();
            let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!((reply.status(), reply.header("content-length")), (status.as_u16(), length));
            assert_eq!(connection.request("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").text(), "next");
        }
    }
}

/// The rejection of an extractor has no thread that could stream.
#[test]
fn a_streamed_rejection_is_a_500() {
    struct Streams;
    impl<S: Send + Sync> FromRequestParts<S> for Streams {
        type Rejection = Streamed;
        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Streamed> {
            Err(Streamed::chunks(["never"]))
        }
    }
    let server = Server::of(Router::new().route("/", get(pool().handler(|_: Streams| "never"))));
    let reply = server.get("/");
    assert_eq!((reply.status(), reply.text().as_str()), (500, PAGE));
}
