//! The timeouts of connections.

use std::time::Duration;

use axum::Router;
use gateway_tests::{Flavour, Stoppable, until};

use super::serve_gated;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(600);

fn serve(header_timeout: Duration, keep_alive: Duration) -> Stoppable {
    Stoppable::start(Flavour::CurrentThread, move |listener| {
        gateway::serve(listener, Router::new()).header_timeout(header_timeout).keep_alive(keep_alive)
    })
}

/// SEC-12: a connection without a complete head is closed.
#[test]
fn a_head_has_to_come_in_time() {
    let server = serve(SHORT, LONG);
    let beginnings =
        ["", "P", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET", "GET / HTTP/1.1\r\nHost: a\r\n"];
    for beginning in beginnings {
        let mut connection = server.connect();
        connection.send(beginning);
        connection.discard_until_closed();
    }
    let mut used = server.get("/");
    assert_eq!(used.reply().status(), 404);
    used.send("GET / HT");
    assert!(used.is_closed());
}

#[test]
fn a_trickling_head_gains_no_time() {
    let server = serve(SHORT, LONG);
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n");
    connection.give_up_after(Duration::from_millis(20));
    until("the server closes the connection", || {
        // Each read waits for 20 ms.
        connection.is_closed();
        connection.try_send_bytes(b"X: 1\r\n").is_err()
    });
}

/// The keep-alive timeout closes an idle connection, and the header timeout does not.
#[test]
fn an_idle_connection_is_closed() {
    let server = serve(LONG, SHORT);
    let mut connection = server.get("/");
    assert_eq!(connection.reply().status(), 404);
    assert!(connection.is_closed());
}

#[test]
fn no_timeout_runs_while_a_request_does() {
    let configure = |server: super::GatedServer| server.header_timeout(SHORT).keep_alive(SHORT);
    let (server, gate) = serve_gated(Flavour::MultiThread, configure);
    let mut running = server.get("/gated");
    gate.await_call();
    // The timeouts of later connections have expired.
    for _ in 0..2 {
        let mut half = server.connect();
        half.send("GET / HT");
        assert!(half.is_closed());
    }
    gate.let_one();
    assert_eq!(running.reply().text(), "hello");
}

#[test]
fn timeouts_may_be_zero_or_unlimited() {
    let server = Stoppable::start(Flavour::CurrentThread, |listener| {
        gateway::serve(listener, Router::new())
            .header_timeout(Duration::MAX)
            .keep_alive(Duration::ZERO)
            .grace(Duration::MAX)
    });
    let mut connection = server.get("/");
    let reply = connection.reply();
    assert_eq!((reply.status(), reply.header("connection")), (404, Some("close")));
    assert!(connection.is_closed());
    let mut server = Stoppable::start(Flavour::CurrentThread, |listener| {
        gateway::serve(listener, Router::new()).keep_alive(Duration::MAX).grace(Duration::MAX)
    });
    assert_eq!(server.get("/").reply().status(), 404);
    assert!(server.report().is_clean());
}
