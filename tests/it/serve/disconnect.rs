//! Clients that disconnect while a response is being made, and clients that only seem to.

use std::future;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{any, get, post};
use gateway::{Gateway, application_fn};
use gateway_tests::{Flavour, Stoppable};

use super::{gate, gated, hello, pool};

/// Says when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// DISC-01: an async neighbour is dropped when its client leaves, whatever became of the request's body.
#[test]
fn an_async_handler_is_dropped_when_its_client_leaves() {
    for (path, request) in [
        ("/ignores", "Content-Length: 0\r\n\r\n"),
        ("/ignores", "Content-Length: 5\r\n\r\nhello"),
        ("/reads", "Content-Length: 5\r\n\r\nhello"),
        ("/reads", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let (told, is_told) = mpsc::channel();
        let (called, calls) = mpsc::channel();
        let wait = move || {
            let told = Told(told.clone());
            let called = called.clone();
            async move {
                let _told = told;
                called.send(()).unwrap();
                future::pending::<()>().await;
            }
        };
        let reads = wait.clone();
        let router = Router::new().route("/ignores", any(wait)).route("/reads", post(move |_: Bytes| reads()));
        let server = Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, router));
        let mut connection = server.connect();
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\n{request}"));
        calls.recv_timeout(Duration::from_secs(20)).expect("the handler is called");
        drop(connection);
        is_told.recv_timeout(Duration::from_secs(20)).expect("the handler is dropped");
    }
}

/// IN-17, DISC-10: a client that ends its side within its body has not left: it is told that its body is incomplete.
#[test]
fn half_a_body_is_answered() {
    for flavour in Flavour::ALL {
        let (gate, waiting) = gate();
        let pool = pool(1, 1);
        let app = application_fn(move |environ, start_response| {
            waiting.pass();
            std::io::copy(environ.input(), &mut std::io::sink())?;
            hello(&start_response)
        });
        let router = Router::new()
            .route("/fast", get(|| async { "fast" }))
            .fallback_service(Gateway::new(app).pool(&pool).read_ahead(0));
        let server = Stoppable::start(flavour, move |listener| gateway::serve(listener, router).pool(&pool));
        // Often, as who is told first is different from time to time.
        for _ in 0..20 {
            let mut connection = server.connect();
            connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
            gate.await_call();
            connection.finish_sending();
            // Whoever comes later is served, so that the server has seen the end.
            assert_eq!(server.get("/fast").reply().text(), "fast");
            gate.open();
            assert_eq!(connection.reply().status(), 400);
        }
    }
}

/// HTTP-10: requests that come while one is being answered are kept for their turn, whole.
#[test]
fn requests_that_come_meanwhile_are_kept() {
    for flavour in Flavour::ALL {
        let (gate, waiting) = gate();
        let pool = pool(1, 1);
        let router = gated(&pool, waiting).route("/length", post(|body: Bytes| async move { body.len().to_string() }));
        let server = Stoppable::start(flavour, move |listener| gateway::serve(listener, router).pool(&pool));
        let mut connection = server.connect();
        connection.send("GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
        gate.await_call();
        connection.send(&format!(
            "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{}GET /fast HTTP/1.1\r\nHost: a\r\n\r\n",
            "x".repeat(20_000)
        ));
        // Whoever comes later is served, so that the server has seen them.
        assert_eq!(server.get("/fast").reply().text(), "fast");
        gate.open();
        assert_eq!(connection.reply().text(), "hello");
        assert_eq!(connection.reply().text(), "20000");
        assert_eq!(connection.reply().text(), "fast");
    }
}
