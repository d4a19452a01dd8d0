//! How connections end.

use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use axum::Router;
use futures_util::stream;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{BOUND, Ending, Flavour, Gate, Stoppable, answer_fn, until};

use super::{pool, serve_gated};

fn connect(server: &Stoppable) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Sends a request, and reads until the connection ends; returns the bytes, and the error if the end was a reset.
fn exchange(server: &Stoppable, request: &str) -> (String, Option<ErrorKind>) {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    let ended = stream.read_to_end(&mut response).err().map(|error| error.kind());
    (String::from_utf8_lossy(&response).into_owned(), ended)
}

/// ERR-05: a body that ends with its connection ends in a reset if it is incomplete, and in an orderly close if it is
/// complete.
#[test]
fn an_incomplete_body_of_http_1_0_ends_in_a_reset() {
    for flavour in Flavour::ALL {
        let app = application_fn(|environ, start_response| {
            start_response("200 OK", &[])?.send("some ")?;
            match environ.path_info() {
                "/whole" => Ok(Chunks::new(["more"])),
                _ => Err(gateway::Error::new("scripted")),
            }
        });
        let server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, Router::new().fallback_service(Gateway::new(app)))
        });
        let (response, ended) = exchange(&server, "GET /whole HTTP/1.0\r\n\r\n");
        assert!(response.ends_with("\r\n\r\nsome more"), "{response}");
        assert_eq!(ended, None);
        for _ in 0..10 {
            let (response, ended) = exchange(&server, "GET /half HTTP/1.0\r\n\r\n");
            assert!(!response.contains("more"), "{response}");
            assert_eq!(ended, Some(ErrorKind::ConnectionReset));
        }
        // Complete responses, and responses with a length, end in an orderly close.
        let (response, ended) = exchange(&server, "GET /half HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(response.ends_with("\r\nsome \r\n"), "{response}");
        assert_eq!(ended, None);
    }
}

/// ERR-05: the same when the shutdown of the server truncates the body.
#[test]
fn a_cut_body_of_http_1_0_ends_in_a_reset() {
    let (gate, waiter) = Gate::pair();
    let app = application_fn(move |_, start_response| {
        start_response("200 OK", &[])?.send("some ")?;
        waiter.pass("in the application");
        Ok(Chunks::empty())
    });
    let mut server = Stoppable::start(Flavour::CurrentThread, move |listener| {
        gateway::serve(listener, Router::new().fallback_service(Gateway::new(app))).grace(Duration::ZERO)
    });
    let mut connection = connect(&server);
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut byte = [0];
    connection.read_exact(&mut byte).unwrap();
    gate.await_call();
    server.stop();
    let ended = connection.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
}

/// HTTP-18: a refusal arrives, even while the client still sends.
#[test]
fn a_refusal_reaches_a_client_that_goes_on() {
    let rest = "x".repeat(600_000);
    let cases = [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Large: ", 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\nExpect: 100-continue\r\n\r\n", 404),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n", 404),
    ];
    let server = Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, Router::new()));
    for (head, status) in cases {
        let mut connection = server.connect();
        connection.send(head);
        connection.try_send_bytes(rest.as_bytes()).unwrap();
        connection.finish_sending();
        assert_eq!(connection.reply().status(), status, "{head}");
        assert!(connection.is_closed(), "{head}");
    }
}

/// The server lingers for a limited time, even if a client never stops sending.
#[test]
fn lingering_ends() {
    let server = Stoppable::start(Flavour::CurrentThread, |listener| {
        gateway::serve(listener, Router::new()).linger(Duration::from_millis(200))
    });
    let mut connection = server.connect();
    connection.send("GET / HTTP/9.9\r\n\r\n");
    until("the server closes the connection", || connection.try_send_bytes(&[b'x'; 64 * 1024]).is_err());
}

/// DISC-10: a client that shuts down its sending side counts as disconnected, unless half-close is allowed.
#[test]
fn half_closed_connections_are_served_where_that_is_allowed() {
    for allowed in [false, true] {
        let (server, gate) = serve_gated(Flavour::MultiThread, move |server| server.half_close(allowed));
        let mut stream = connect(&server);
        stream.write_all(b"GET /gated HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        gate.await_call();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut response = String::new();
        if allowed {
            gate.let_one();
        }
        stream.read_to_string(&mut response).unwrap();
        assert_eq!(response.ends_with("hello"), allowed, "{response}");
        assert_eq!(response.is_empty(), !allowed, "{response}");
    }
}

/// HTTP-10: an unread chunked body does not discard the response.
#[test]
fn an_unread_body_does_not_cost_the_response() {
    let server = Stoppable::start(Flavour::MultiThread, |listener| gateway::serve(listener, Router::new()));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..8 {
        connection.try_send_bytes(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).as_bytes()).unwrap();
    }
    let reply = connection.reply();
    assert_eq!((reply.status(), reply.ending), (404, Ending::Length));
}

/// HTTP-18: a refusal arrives although its client sends a large body before it reads, on both kinds of connections.
/// A server that discards only one megabyte loses the response by a reset.
#[test]
fn a_refused_upload_of_any_size_gets_its_answer() {
    for flavour in Flavour::ALL {
        let server = Stoppable::start(flavour, |listener| {
            let app = answer_fn(|_| Ok(["unread"]));
            let pool = pool(2, 2);
            let limited = Gateway::new(app).pool(&pool).body_limit(1024);
            gateway::serve(listener, Router::new().route_service("/limited", limited)).pool(&pool)
        });
        for (target, status) in [("/limited", 413), ("/nowhere", 404)] {
            for megabytes in [1, 3, 20, 31] {
                for _ in 0..3 {
                    let mut connection = server.connect();
                    let length = megabytes * 1_000_000;
                    connection.send(&format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
                    let part = vec![b'x'; 100_000];
                    for _ in 0..length / part.len() {
                        connection.try_send_bytes(&part).unwrap_or_else(|error| panic!("{megabytes}: {error}"));
                    }
                    let reply = connection.reply();
                    assert_eq!((reply.status(), reply.header("connection")), (status, Some("close")), "{megabytes}");
                }
            }
        }
    }
}

/// HTTP-10: if the end of the connection ends the response, the response has no other framing, whatever the client has
/// requested.
#[test]
fn a_body_without_a_length_on_http_1_0_says_that_the_connection_ends() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?.send("some ")?;
        Ok(Chunks::new(["more"]))
    });
    let server = Stoppable::start(Flavour::MultiThread, move |listener| {
        let streams = axum::routing::get(|| async {
            axum::body::Body::from_stream(stream::iter([Ok::<_, Infallible>("some more")]))
        });
        gateway::serve(listener, Router::new().route("/async", streams).fallback_service(Gateway::new(app)))
    });
    for target in ["/", "/async"] {
        let (response, ended) = exchange(&server, &format!("GET {target} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        let lower = response.to_ascii_lowercase();
        assert!(lower.contains("connection: close\r\n") && !lower.contains("keep-alive"), "{response}");
        assert!(response.ends_with("some more"), "{response}");
        assert_eq!(ended, None);
    }
}
