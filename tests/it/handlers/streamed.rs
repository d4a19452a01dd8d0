//! Responses whose body is generated on the handler's thread.

use std::io::Write as _;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gateway::Streamed;
use gateway_tests::{Ending, Gate, Server};

use super::pool;

#[test]
fn a_closure_writes_the_body_on_the_thread_of_the_handler() {
    fn report() -> impl IntoResponse {
        let handler = std::thread::current().id();
        let body = Streamed::write(move |write| {
            assert_eq!(std::thread::current().id(), handler);
            (0..1000).try_for_each(|row| writeln!(write, "{row}"))?;
            Ok(())
        });
        (StatusCode::CREATED, [(CONTENT_TYPE, "text/csv")], body)
    }
    let reply = Server::of(Router::new().route("/", get(pool().handler(report)))).get("/");
    assert_eq!((reply.status(), reply.header("content-type")), (201, Some("text/csv")));
    assert_eq!(reply.text().lines().count(), 1000);
}

#[test]
fn an_iterator_is_pulled_as_the_client_reads() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let numbers = move || {
        let waiter = waiter.clone();
        Streamed::chunks((0..3).map(move |number| {
            waiter.pass("next");
            format!("{number}")
        }))
    };
    let server = Server::of(Router::new().route("/", get(pool().handler(numbers))));
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    gate.let_one();
    let (line, _) = connection.head();
    assert!(line.contains("200"), "{line}");
    assert_eq!(connection.chunk(), b"0");
    gate.open();
    assert_eq!([connection.chunk(), connection.chunk()], [b"1", b"2"]);
}

/// ERR-01, ERR-05: a failure before the first byte is a 500; after the first byte, the message is aborted.
#[test]
fn a_streamed_body_that_fails_is_never_complete() {
    fn early() -> Streamed {
        Streamed::write(|_| Err(gateway::Error::new("no")))
    }
    fn late() -> Streamed {
        Streamed::write(|write| {
            write.write_all(b"some")?;
            Err(gateway::Error::new("no"))
        })
    }
    let pool = pool();
    let router = Router::new().route("/early", get(pool.handler(early))).route("/late", get(pool.handler(late)));
    let server = Server::of(router);
    assert_eq!(server.get("/early").status(), 500);
    let mut connection = server.connect();
    connection.send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(connection.head().0.contains("200"));
    assert_eq!(connection.rest_of_chunks(), Ending::Broken);
}

/// The body of an axum error response streams without the thread.
#[test]
fn a_body_of_axum_needs_no_thread() {
    fn letters() -> Response {
        let chunks = futures_util::stream::iter(["a", "b"].map(Ok::<_, std::convert::Infallible>));
        axum::body::Body::from_stream(chunks).into_response()
    }
    let pool = pool();
    let server = Server::of(Router::new().route("/", get(pool.handler(letters))));
    assert_eq!(server.get("/").text(), "ab");
}

/// In an async handler, such a response is aborted, because it has no thread.
#[test]
fn a_streamed_body_without_a_thread_fails() {
    async fn wrong() -> Streamed {
        Streamed::chunks(["never"])
    }
    let server = Server::of(Router::new().route("/", get(wrong)));
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    connection.discard_until_closed();
}
