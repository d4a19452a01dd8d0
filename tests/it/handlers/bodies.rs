//! The request body of a handler.

use std::io::Read as _;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::routing::{get, post};
use bytes::Bytes;
use gateway::{Input, Pool, Streamed};
use gateway_tests::{Ending, Gate, Server, http2};
use http::StatusCode;
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

use super::pool;

fn count(mut input: Input) -> gateway::Result<String> {
    let bytes = std::io::copy(&mut input, &mut std::io::sink())?;
    Ok(format!("{bytes} bytes"))
}

/// IN-01: `Input` streams bodies that are larger than the read-ahead.
#[test]
fn an_input_streams_the_body_to_the_thread() {
    let server = Server::of(Router::new().route("/", post(pool().handler(count))));
    for size in [0, 1, 65_536, 65_537, 3_000_000] {
        let mut connection = server.connect();
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n"));
        connection.send_bytes(&vec![b'x'; size]);
        assert_eq!(connection.reply().text(), format!("{size} bytes"));
        assert_eq!(connection.request("POST / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "0 bytes");
    }
}

/// The handler begins before the body is complete, and reads the body while it arrives.
#[test]
fn a_handler_begins_before_its_body_has_ended() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = pool();
    let api = pool.gateway().read_ahead(4);
    let echo = move |mut input: Input| -> gateway::Result<Vec<u8>> {
        let mut first = [0; 4];
        input.read_exact(&mut first)?;
        waiter.note(std::str::from_utf8(&first)?);
        Ok(input.read_all()?)
    };
    let server = Server::of(Router::new().route("/", post(api.handler(echo))));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nabcde");
    assert_eq!(gate.await_call(), "abcd");
    connection.send("fgh");
    assert_eq!(connection.reply().text(), "efgh");
}

/// IN-10, IN-08: an error of the input gives the same answer as in an application.
#[test]
fn an_error_of_the_input_decides_the_answer() {
    let api = pool().gateway().body_limit(5).read_ahead(2);
    let server = Server::of(Router::new().route("/", post(api.handler(count))));
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(server.connect().request(&format!("{chunked}6\r\nabcdef\r\n0\r\n\r\n")).status(), 413);
    assert_eq!(server.connect().request(&format!("{chunked}2\r\nab\r\nzz\r\n")).status(), 400);
}

/// HTTP-12: a body that no extractor reads may close the connection, and is never parsed as the next request.
#[test]
fn a_body_that_no_extractor_reads_is_not_taken_for_a_request() {
    fn ignores() -> &'static str {
        "ignored"
    }
    let router = || Router::new().route("/", get(pool().handler(ignores)).post(pool().handler(ignores)));
    for server in [Server::of(router()), Server::with_axum(router())] {
        let inner = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut connection = server.connect();
        let request = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
        let reply = connection.request(&request);
        assert_eq!((reply.status(), reply.text().as_str()), (200, "ignored"));
        let is_closed = reply.header("connection") == Some("close");
        assert!(is_closed || connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text() == "ignored");
    }
}

/// Outside a blocking handler, the rejection of `Input` names the missing handler.
#[test]
fn an_input_in_an_async_handler_says_what_to_do() {
    async fn wrong(_: Input) {}
    let reply = Server::of(Router::new().route("/", get(wrong))).get("/");
    assert_eq!((reply.status(), reply.text().as_str()), (500, "`Input` blocks; mount the handler with `pool.handler`"));
}

/// An extractor that passes the head of its request on to another handler, which has an input of its own: the empty
/// body of its request, whatever the body of the first is.
#[test]
fn a_request_that_is_passed_on_has_its_own_input() {
    struct Forwarded(String, String);
    impl FromRequest<Router> for Forwarded {
        type Rejection = StatusCode;

        async fn from_request(request: Request, inner: &Router) -> Result<Self, StatusCode> {
            let (parts, body) = request.into_parts();
            let head = Request::from_parts(parts.clone(), Body::empty());
            let Ok(answer) = inner.clone().oneshot(head).await;
            let text = |body: Body| async {
                let bytes = body.collect().await.map_err(|_| StatusCode::BAD_GATEWAY)?.to_bytes();
                String::from_utf8(bytes.into()).map_err(|_| StatusCode::BAD_GATEWAY)
            };
            Ok(Self(text(answer.into_body()).await?, text(body).await?))
        }
    }
    fn read(mut input: Input) -> gateway::Result<String> {
        let mut text = String::new();
        input.read_to_string(&mut text)?;
        Ok(text)
    }
    let pool = pool();
    let inner = Router::new().route("/", post(pool.handler(read)));
    let outer = pool.handler(|Forwarded(inner, own): Forwarded| format!("inner: {inner}, own: {own}"));
    let server = Server::of(Router::new().route("/", post(outer)).with_state(inner));
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(server.connect().request(request).text(), "inner: , own: abc");
}

/// IN-26: the length of a body is the declared one, or the one that a spool has counted.
#[test]
fn an_input_has_the_length_that_was_declared_or_spooled() {
    #[expect(clippy::needless_pass_by_value, reason = "extractors are values")]
    fn length(input: Input) -> String {
        format!("{:?}", input.length())
    }
    let pool = pool();
    for memory in [0, 100] {
        let spool = gateway::Spool::builder().memory(memory).build().unwrap();
        let spooled = post(pool.gateway().spool(&spool).handler(length));
        let server = Server::of(Router::new().route("/", post(pool.handler(length))).route("/spooled", spooled));
        for (path, framing, body, expected) in [
            ("/", "Content-Length: 3", "abc", "Some(3)"),
            ("/", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "None"),
            ("/spooled", "Content-Length: 3", "abc", "Some(3)"),
            ("/spooled", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "Some(3)"),
        ] {
            let request = format!("POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{body}");
            assert_eq!(server.connect().request(&request).text(), expected, "{path} {framing}");
        }
    }
}

/// IN-14: with a spool, the handler begins when the body is complete.
#[test]
fn a_spooled_body_is_here_before_the_handler_begins() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = Pool::builder().threads(1).build().unwrap();
    let api = pool.gateway().spool(&gateway::Spool::builder().build().unwrap());
    let noted = move |input: Input| {
        waiter.note("begun");
        count(input)
    };
    let server = Server::of(Router::new().route("/", post(api.handler(noted))));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    connection.send_bytes(&vec![b'x'; 150_000]);
    assert_eq!(server.connect().request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab").text(), "2 bytes");
    assert_eq!(gate.calls(), ["begun"]);
    connection.send_bytes(&vec![b'x'; 50_000]);
    assert_eq!(connection.reply().text(), "200000 bytes");
}

/// HTTP-06, HTTP-22: a streamed response to a request whose body no extractor reads ends the connection, too, where the
/// server leaves that to the gateway.
#[test]
fn a_streamed_response_that_leaves_the_body_unread_ends_the_connection() {
    fn streams() -> Streamed {
        Streamed::chunks(["a", "b"])
    }
    let server = Server::with_axum(Router::new().route("/", post(pool().handler(streams))));
    let mut connection = server.connect();
    let reply = connection.request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    assert_eq!((reply.text().as_str(), reply.ending), ("ab", Ending::Chunked));
    assert_eq!(reply.header("connection"), Some("close"));
    connection.send(&format!("{:100}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    connection.finish_sending();
    assert!(connection.is_closed());
}

/// HTTP-20: on HTTP/2, trailers may follow a body of a declared length; a handler sees them, too.
#[tokio::test(crate = "crate::bounded")]
async fn a_handler_sees_the_trailers_after_a_declared_length() {
    fn sum(mut input: Input) -> gateway::Result<String> {
        let body = input.read_all()?;
        let sum = input.trailers().and_then(|fields| fields.get("x-sum")).cloned();
        Ok(format!("{} {sum:?}", String::from_utf8_lossy(&body)))
    }
    let server = Server::of(Router::new().route("/", post(pool().handler(sum))));
    let mut client = http2(server.address()).await;
    for declared in [false, true] {
        let frames = [
            http_body::Frame::data(Bytes::from("hello")),
            http_body::Frame::trailers([("x-sum".parse().unwrap(), 77.into())].into_iter().collect()),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, std::convert::Infallible>)));
        let mut request = http::Request::post("http://h/");
        if declared {
            request = request.header("content-length", 5);
        }
        let response = client.send_request(request.body(body).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello Some(\"77\")");
    }
}
