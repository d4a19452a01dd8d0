//! Requests that the server refuses because their heads cannot be parsed.

use std::sync::mpsc::{self, Receiver};

use axum::Router;
use axum::routing::get;
use gateway::serve::MalformedHead;
use gateway_tests::{Connection, Flavour, Stoppable, recv};

/// A server with an observer, and what the observer was told. It panics at 414.
fn observed(http2: bool) -> (Stoppable, Receiver<MalformedHead>) {
    let (sender, told) = mpsc::channel();
    let server = Stoppable::start(Flavour::CurrentThread, move |listener| {
        let router = Router::new().route("/", get(|| async { "hello" }));
        gateway::serve(listener, router).http2(http2).on_malformed_head(move |head: &MalformedHead| {
            // The test may be over.
            let _ = sender.send(head.clone());
            assert_ne!(head.status, 414);
        })
    });
    (server, told)
}

/// LOG-12: no layer sees such a request, so the server tells of it, with the status that the client gets. A panic of
/// the program's fn ends nothing.
#[test]
fn the_program_is_told_of_requests_whose_heads_cannot_be_parsed() {
    let (server, told) = observed(true);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(101));
    for (request, status) in [
        ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (&target, 414),
        (&fields, 431),
        ("GET / HTTP/1.1\r\nHo st: a\r\n\r\n", 400),
    ] {
        let mut connection = Connection::open(server.address());
        let peer = connection.local_addr();
        assert_eq!(connection.request(request).status(), status);
        let head = recv(&told);
        assert_eq!((head.peer, head.status.as_u16()), (Some(peer), status));
    }
    // The second request of a connection, too.
    let mut connection = Connection::open(server.address());
    assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(), "hello");
    assert_eq!(connection.request("GET / HTTP/9.9\r\nHost: a\r\n\r\n").status(), 400);
    assert_eq!(recv(&told).status, 400);
    assert!(told.try_recv().is_err());
}

/// SEC-08: a length that hyper can count to is refused by the limit of the mount, and a longer one by hyper: with 431
/// if it is one of the two largest of 64 bits, and with 400 if it needs more.
#[test]
fn a_length_beyond_any_limit_is_refused() {
    let (sender, told) = mpsc::channel();
    let app = gateway_tests::answer_fn(|environ| Ok([environ.input().read_all()?]));
    let server = Stoppable::start(Flavour::CurrentThread, move |listener| {
        let router = Router::new().fallback_service(gateway::Gateway::new(app));
        gateway::serve(listener, router).on_malformed_head(move |head: &MalformedHead| {
            let _ = sender.send(head.status.as_u16());
        })
    });
    for (length, status) in [
        ("16777217", 413),
        ("9223372036854775807", 413),
        ("9223372036854775808", 413),
        ("18446744073709551613", 413),
        ("018446744073709551613", 413),
        ("18446744073709551614", 431),
        ("18446744073709551615", 431),
        ("18446744073709551616", 400),
        ("99999999999999999999999", 400),
        ("-1", 400),
        ("+1", 400),
        ("1 1", 400),
        ("0x1", 400),
    ] {
        let mut connection = Connection::open(server.address());
        connection.send(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(connection.reply().status(), status, "{length}");
        // A server that waits for the body, which it will not read, tells of the head when the client has closed.
        drop(connection);
        if status != 413 {
            assert_eq!(recv(&told), status, "{length}");
        }
    }
    assert!(told.try_recv().is_err());
}

/// A client that begins with HTTP/2 gets no answer on HTTP/1 that could be logged.
#[test]
fn the_preface_of_http2_is_no_malformed_head() {
    let (server, told) = observed(false);
    let mut connection = Connection::open(server.address());
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    connection.discard_until_closed();
    let mut connection = Connection::open(server.address());
    assert_eq!(connection.request("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400);
    assert_eq!(recv(&told).status, 400);
    assert!(told.try_recv().is_err());
}
