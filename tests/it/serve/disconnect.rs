//! Clients that disconnect while a response is generated, and clients that only shut down their sending side.

use std::future;
use std::sync::mpsc::{self, Receiver};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{any, get, post};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{Gateway, application_fn};
use gateway_tests::{Flavour, Gate, NotifyOnDrop, Stoppable, recv};

use super::{gated, hello, pool};

/// A handler that never returns, its calls, and the drops of their futures.
fn pending_handler() -> (impl Fn() -> BoxFuture<'static, ()> + Clone, Receiver<()>, Receiver<()>) {
    let (dropped, is_dropped) = mpsc::channel();
    let (called, calls) = mpsc::channel();
    let handler = move || {
        let notify = NotifyOnDrop(dropped.clone());
        let called = called.clone();
        async move {
            let _notify = notify;
            called.send(()).unwrap();
            future::pending::<()>().await;
        }
        .boxed()
    };
    (handler, calls, is_dropped)
}

/// DISC-01: an async route is dropped when its client disconnects, whatever the state of the request body.
#[test]
fn an_async_handler_is_dropped_when_its_client_leaves() {
    for (path, request) in [
        ("/ignores", "Content-Length: 0\r\n\r\n"),
        ("/ignores", "Content-Length: 5\r\n\r\nhello"),
        ("/reads", "Content-Length: 5\r\n\r\nhello"),
        ("/reads", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let (wait, calls, is_dropped) = pending_handler();
        let reads = wait.clone();
        let router = Router::new().route("/ignores", any(wait)).route("/reads", post(move |_: Bytes| reads()));
        let server = Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, router));
        let mut connection = server.connect();
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\n{request}"));
        recv(&calls);
        drop(connection);
        recv(&is_dropped);
    }
}

/// DISC-01: pipelined requests do not hide that the client has disconnected, whether they come with the request or
/// later, in part or whole.
#[test]
fn an_async_handler_is_dropped_when_its_client_leaves_behind_pipelined_bytes() {
    let fast = "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n";
    let upload = format!("POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 12000\r\n\r\n{}", "x".repeat(12_000));
    for flavour in Flavour::ALL {
        let (wait, calls, is_dropped) = pending_handler();
        let router = Router::new().route("/", get(wait)).route("/fast", any(|| async { "fast" }));
        let server = Stoppable::start(flavour, |listener| gateway::serve(listener, router));
        for pipelined in ["G", "\r\n", fast, &fast[..20], &fast.repeat(100), &upload, &upload[..9000]] {
            for comes_later in [false, true] {
                let mut connection = server.connect();
                let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                match comes_later {
                    false => {
                        connection.send(&format!("{request}{pipelined}"));
                        recv(&calls);
                    }
                    true => {
                        connection.send(request);
                        recv(&calls);
                        connection.send(pipelined);
                    }
                }
                drop(connection);
                recv(&is_dropped);
            }
        }
    }
}

/// IN-17, DISC-10: a client that shuts down its sending side within the body has not disconnected: it gets a 400.
#[test]
fn half_a_body_is_answered() {
    for flavour in Flavour::ALL {
        let (gate, waiter) = Gate::pair();
        let pool = pool(1, 1);
        let app = application_fn(move |environ, start_response| {
            waiter.pass("in the application");
            std::io::copy(environ.input(), &mut std::io::sink())?;
            hello(&start_response)
        });
        let router = Router::new()
            .route("/fast", get(|| async { "fast" }))
            .fallback_service(Gateway::new(app).pool(&pool).read_ahead(0));
        let server = Stoppable::start(flavour, move |listener| gateway::serve(listener, router).pool(&pool));
        // Repeated, because the order of events varies.
        for _ in 0..20 {
            let mut connection = server.connect();
            connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
            gate.await_call();
            connection.finish_sending();
            // A later request is answered, so the server has seen the end.
            assert_eq!(server.get("/fast").reply().text(), "fast");
            gate.let_one();
            assert_eq!(connection.reply().status(), 400);
        }
    }
}

/// HTTP-10: pipelined requests that arrive during an answer are buffered completely, until it is their turn.
#[test]
fn requests_that_come_meanwhile_are_kept() {
    for flavour in Flavour::ALL {
        let (gate, waiter) = Gate::pair();
        let pool = pool(1, 1);
        let router = gated(&pool, waiter).route("/length", post(|body: Bytes| async move { body.len().to_string() }));
        let server = Stoppable::start(flavour, move |listener| gateway::serve(listener, router).pool(&pool));
        let mut connection = server.get("/gated");
        gate.await_call();
        connection.send(&format!(
            "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{}GET /fast HTTP/1.1\r\nHost: a\r\n\r\n",
            "x".repeat(20_000)
        ));
        // A later request is answered, so the server has seen the pipelined ones.
        assert_eq!(server.get("/fast").reply().text(), "fast");
        gate.let_one();
        assert_eq!(connection.reply().text(), "hello");
        assert_eq!(connection.reply().text(), "20000");
        assert_eq!(connection.reply().text(), "fast");
    }
}
