//! Clients that wait for `100 Continue` before they send their body, where mounts have a spool.

use std::convert::Infallible;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use bytes::Bytes;
use gateway::{Chunks, Environ, Gateway, Input, Pool, Spool, StartResponse, application_fn};
use gateway_tests::{Connection, Gate, Journal, Reply, Server, http2, until};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;

const SIZE: usize = 100_000;

/// Refuses requests without a password, and counts the body of the others in several reads.
#[expect(clippy::needless_pass_by_value, reason = "the signature of an application")]
fn guarded<'r>(environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    if environ.get("HTTP_AUTHORIZATION").is_none() {
        start_response("401 Unauthorized", &[])?;
        return Ok(Chunks::new(["who are you?"]));
    }
    let declared = environ.get("CONTENT_LENGTH").unwrap_or("-").to_owned();
    let bytes: usize =
        environ.input().chunks(1000).try_fold(0, |bytes, chunk| std::io::Result::Ok(bytes + chunk?.len()))?;
    start_response("200 OK", &[])?;
    Ok(Chunks::new([format!("{bytes} of {declared} bytes")]))
}

/// The same as a handler.
#[expect(clippy::needless_pass_by_value, reason = "an extractor")]
fn guarded_handler(headers: HeaderMap, input: Input) -> gateway::Result<(StatusCode, String)> {
    if !headers.contains_key("authorization") {
        return Ok((StatusCode::UNAUTHORIZED, "who are you?".into()));
    }
    let declared = input.length().map_or("-".to_owned(), |length| length.to_string());
    let bytes: usize = input.into_chunks(1000).try_fold(0, |bytes, chunk| std::io::Result::Ok(bytes + chunk?.len()))?;
    Ok((StatusCode::OK, format!("{bytes} of {declared} bytes")))
}

/// The application at `/`, and the handler at `/handler`, with a spool.
fn router(pool: &Pool) -> Router {
    let spool = Spool::builder().memory(1000).total(1 << 20).build().unwrap();
    let gateway = Gateway::new(application_fn(guarded)).pool(pool).spool(&spool);
    let handler = pool.gateway().spool(&spool).handler(guarded_handler);
    Router::new().route("/handler", any(handler)).fallback_service(gateway)
}

fn pool(threads: usize) -> Pool {
    Pool::builder().threads(threads).build().unwrap()
}

fn head(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{fields}\r\n")
}

const LENGTH: &str = "Content-Length: 100000\r\n";
const PASSWORD: &str = "Content-Length: 100000\r\nAuthorization: x\r\n";

/// Asserts that the server asks for the body, and sends it.
fn send_when_asked(connection: &mut Connection) -> Reply {
    let (line, _) = connection.head();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    connection.send_bytes(&[b'x'; SIZE]);
    // A second `100 Continue` would be taken for the reply.
    connection.reply()
}

/// HTTP-05, IN-23: the application refuses a body that its client has not sent, and the connection ends.
#[test]
fn a_refusal_comes_instead_of_continue() {
    let server = Server::of(router(&pool(16)));
    for path in ["/", "/handler"] {
        let mut connection = server.connect();
        let reply = connection.request(&head(path, LENGTH));
        assert_eq!((reply.status(), reply.text().as_str()), (401, "who are you?"), "{path}");
        // The client may send its body nevertheless: nothing that follows is a request (RFC 9110 §10.1.1).
        assert_eq!(reply.header("connection"), Some("close"), "{path}");
        assert!(connection.is_closed(), "{path}");
    }
}

/// HTTP-05, IN-26: a body is asked for once, by the first read, whatever its size; its connection stays.
#[test]
fn the_first_read_asks_for_the_body_once() {
    let server = Server::of(router(&pool(16)));
    for path in ["/", "/handler"] {
        let mut connection = server.connect();
        for _ in 0..3 {
            connection.send(&head(path, PASSWORD));
            assert_eq!(send_when_asked(&mut connection).text(), "100000 of 100000 bytes", "{path}");
        }
        let reply = connection.request(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(reply.status(), 401, "{path}");
    }
}

/// HTTP-05: a client may send its body without waiting for the answer.
#[test]
fn a_client_that_does_not_wait_is_served() {
    let server = Server::of(router(&pool(16)));
    for path in ["/", "/handler"] {
        let mut connection = server.connect();
        connection.send(&head(path, PASSWORD));
        connection.send_bytes(&[b'x'; SIZE]);
        assert!(connection.head().0.starts_with("HTTP/1.1 100"));
        assert_eq!(connection.reply().text(), "100000 of 100000 bytes", "{path}");
    }
}

/// HTTP-05, IN-26: a body of unknown length is asked for before the call, as the application is to see its length.
#[test]
fn a_chunked_body_is_spooled_before_the_call() {
    let server = Server::of(router(&pool(16)));
    for path in ["/", "/handler"] {
        let mut connection = server.connect();
        connection.send(&head(path, "Transfer-Encoding: chunked\r\nAuthorization: x\r\n"));
        assert!(connection.head().0.starts_with("HTTP/1.1 100"));
        connection.send_chunk(b"abc");
        connection.send_chunk(b"");
        assert_eq!(connection.reply().text(), "3 of 3 bytes", "{path}");
    }
}

/// HTTP-06, HTTP-07: without a body, and on HTTP/1.0, nothing is asked for.
#[test]
fn an_expectation_without_meaning_is_ignored() {
    let server = Server::of(router(&pool(16)));
    for path in ["/", "/handler"] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nAuthorization: x\r\n\r\n");
        assert_eq!(server.connect().request(&get).status(), 200, "{path}");
        let old = format!("POST {path} HTTP/1.0\r\nExpect: 100-continue\r\n{PASSWORD}\r\n");
        let mut connection = server.connect();
        connection.send(&old);
        connection.send_bytes(&[b'x'; SIZE]);
        assert_eq!(connection.reply().text(), "100000 of 100000 bytes", "{path}");
    }
}

/// HTTP-05: on HTTP/1.0 the body is spooled before the call, as without the field.
#[test]
fn a_body_on_http_1_0_is_spooled_before_the_call() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let app = application_fn(move |environ, start_response| {
        let body = environ.input().read_all()?;
        waiter.note(std::str::from_utf8(&body)?);
        start_response("200 OK", &[])?;
        Ok(Chunks::empty())
    });
    let spool = Spool::builder().build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool(4)).spool(&spool));
    let mut slow = server.connect();
    slow.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nsl");
    until("the first half is in the spool", || spool.taken() == 2);
    let mut fast = server.connect();
    fast.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nfast");
    assert_eq!(gate.await_call(), "fast");
    slow.send("ow");
    assert_eq!(gate.await_call(), "slow");
    assert_eq!((fast.reply().status(), slow.reply().status()), (200, 200));
}

/// HTTP-05: hyper sends no `100 Continue` on HTTP/2, where a client waits for a limited time. It has the refusal
/// meanwhile.
#[tokio::test(crate = "crate::bounded")]
async fn a_refusal_comes_before_the_body_on_http2() {
    let server = Server::with_gateway(router(&pool(16)));
    let mut client = http2(server.address()).await;
    for path in ["/", "/handler"] {
        let url = format!("http://h{path}");
        let post = || Request::post(&url).header("expect", "100-continue").header("content-length", SIZE);
        let body = || {
            let (frames, mut receiver) = mpsc::unbounded_channel::<Result<Frame<Bytes>, Infallible>>();
            (frames, StreamBody::new(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))))
        };
        let (unsent, never_sent) = body();
        let refused = client.send_request(post().body(never_sent).unwrap()).await.unwrap();
        assert_eq!(refused.status(), 401, "{path}");
        drop(unsent);
        let (frames, sent) = body();
        let accepted = client.send_request(post().header("authorization", "x").body(sent).unwrap());
        frames.send(Ok(Frame::data(Bytes::from(vec![b'x'; SIZE])))).unwrap();
        drop(frames);
        let text = accepted.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "100000 of 100000 bytes", "{path}");
    }
}

/// POOL-24: clients that are asked and send nothing take half of the threads. The others are asked before the call, and
/// take none.
#[test]
fn clients_that_were_asked_leave_half_of_the_threads_to_others() {
    for path in ["/", "/handler"] {
        let pool = pool(4);
        let server = Server::of(router(&pool));
        let mut clients: Vec<_> = (0..16).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(&head(path, PASSWORD));
            assert!(client.head().0.starts_with("HTTP/1.1 100"));
        }
        until("two applications wait for their clients", || pool.stats().busy == 2);
        for _ in 0..3 {
            assert_eq!(server.get(path).status(), 401);
        }
        until("the threads of the GETs are idle", || pool.stats().busy == 2);
        for client in &mut clients {
            client.send_bytes(&[b'x'; SIZE]);
            assert_eq!(client.reply().text(), "100000 of 100000 bytes", "{path}");
        }
        assert_eq!(pool.stats().shed, 0);
    }
}

/// POOL-24: the only thread of a pool does not wait for a client.
#[test]
fn the_last_thread_does_not_wait_for_a_client() {
    let pool = pool(1);
    let server = Server::of(router(&pool));
    let mut client = server.connect();
    client.send(&head("/", PASSWORD));
    assert!(client.head().0.starts_with("HTTP/1.1 100"));
    assert_eq!(server.get("/").status(), 401);
    client.send_bytes(&[b'x'; SIZE]);
    assert_eq!(client.reply().text(), "100000 of 100000 bytes");
}

/// POOL-24: a refused client, and one that disconnects instead of sending, no longer count.
#[test]
fn a_client_that_sends_no_body_does_not_count_for_long() {
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |environ, start_response| {
        noted.note("called");
        assert!(environ.input().read_all().is_err());
        start_response("401 Unauthorized", &[])?;
        Ok(Chunks::empty())
    });
    let pool = pool(2);
    let spool = Spool::builder().build().unwrap();
    let reading = Gateway::new(app).pool(&pool).spool(&spool);
    let server = Server::of(router(&pool).nest_service("/reads", reading));
    let is_refused_at_once = || {
        let mut client = server.connect();
        client.send(&head("/", LENGTH));
        client.head().0.starts_with("HTTP/1.1 401")
    };
    for calls in 1..=3 {
        until("the application is called first", || {
            let mut leaves = server.connect();
            leaves.send(&head("/reads", LENGTH));
            assert!(leaves.head().0.starts_with("HTTP/1.1 100"));
            journal.lines().len() == calls
        });
        until("another client is refused at once", is_refused_at_once);
    }
}

/// IN-26: a length that does not fit into the spool is refused, whether or not the client waits.
#[test]
fn a_body_that_does_not_fit_is_refused_before_the_call() {
    let server = Server::of(router(&pool(16)));
    let reply = server.connect().request(&head("/", "Content-Length: 1048577\r\nAuthorization: x\r\n"));
    assert_eq!(reply.status(), 503);
}
