//! Graceful shutdown: POOL-16 to POOL-18, POOL-21.

use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use gateway::serve::Stopping;
use gateway::{Chunks, Event, Gateway, Streamed, application_fn};
use gateway_tests::{BOUND, Connection, Ending, Flavour, Gate, Stoppable, recv};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::network::{Network, read_to_end, read_until, send};
use super::{pool, serve_gated};

const SHORT: Duration = Duration::from_millis(200);

/// A connection that has had a response.
fn idle(server: &Stoppable) -> Connection {
    let mut idle = server.get("/fast");
    assert_eq!(idle.reply().text(), "fast");
    idle
}

/// Running and queued requests are answered, idle connections are closed at once, and new ones are refused.
#[test]
fn a_drain_finishes_the_requests_that_have_begun() {
    for flavour in Flavour::ALL {
        let (mut server, gate) = serve_gated(flavour, |server| server);
        let mut idle = idle(&server);
        let mut unused = server.connect();
        let mut running = server.get("/gated");
        gate.await_call();
        let mut queued = server.get("/gated");
        // The runtime has read `queued` before the shutdown, or at about the same time.
        assert_eq!(server.get("/fast").reply().status(), 200);
        server.stop();
        assert!(idle.is_closed());
        assert!(unused.is_closed());
        assert!(TcpStream::connect(server.address()).is_err());
        for connection in [&mut running, &mut queued] {
            gate.let_one();
            // The response has `Connection: close`, unless its head was generated before the connection saw the drain.
            let reply = connection.reply();
            assert_eq!((reply.status(), reply.text().as_str()), (200, "hello"));
            assert!(connection.is_closed());
        }
        let report = server.report();
        assert!(report.is_clean(), "{report}");
    }
}

/// A partial head does not delay the end of the drain, on a new connection or on a used one.
#[test]
fn half_a_head_does_not_hang_the_drain() {
    for flavour in Flavour::ALL {
        let mut server =
            Stoppable::start(flavour, |listener| gateway::serve(listener, axum::Router::new()).grace(SHORT));
        let mut new = server.connect();
        new.send("GET / HTTP/1.1\r\nHost: a\r\nX-Half");
        let mut used = server.get("/");
        used.reply();
        used.send("GET / HTTP/1.1\r\nHost: a\r\nX-Half");
        server.stop();
        assert!(new.is_closed());
        assert!(used.is_closed());
        assert_eq!(server.report().running, []);
    }
}

/// If the rest of a head arrives within the grace period, the request is served.
#[test]
fn a_head_on_its_way_is_waited_for() {
    let (mut server, _gate) = serve_gated(Flavour::CurrentThread, |server| server);
    let mut slow = server.connect();
    slow.send("GET / HTTP/1.1\r\nHost: a\r\nX-Half");
    let mut idle = idle(&server);
    server.stop();
    assert!(idle.is_closed());
    slow.send(": 1\r\n\r\n");
    assert_eq!(slow.reply().text(), "hello");
    assert!(server.report().is_clean());
}

/// POOL-18, DISC-01: an application that does not return sees a disconnect and is in the report; its client sees the
/// end.
#[test]
fn a_request_that_does_not_end_is_cut_and_reported() {
    for flavour in Flavour::ALL {
        let (gate, waiter) = Gate::pair();
        let (report, reported) = mpsc::channel();
        let pool = pool(1, 4);
        let app = application_fn(move |environ, start_response| {
            waiter.note(environ.path_info());
            report.send(environ.wait_for_disconnect(BOUND))?;
            waiter.pass("in the application");
            super::hello(&start_response)
        });
        let mut server = Stoppable::start(flavour, move |listener| {
            let router = axum::Router::new().nest_service("/stuck", Gateway::new(app).name("stuck").pool(&pool));
            gateway::serve(listener, router).pool(&pool).grace(SHORT)
        });
        let mut stuck = server.get("/stuck/for/ever");
        gate.await_call();
        let report = server.report();
        let running: Vec<_> = report.running.iter().map(|left| (left.mount.as_str(), left.thread.as_str())).collect();
        assert_eq!((running, report.connections_cut), (vec![("stuck", "served-1")], 1));
        assert!(report.running[0].age >= SHORT);
        assert!(report.to_string().starts_with("1 connections cut, 1 requests left running: \"stuck\" on served-1"));
        assert!(recv(&reported), "the application sees the disconnect");
        assert!(stuck.is_closed());
    }
}

/// POOL-18: a loop of events ends at the shutdown, whether it already waits or waits later, and does not use the grace
/// period.
#[test]
fn a_wait_ends_when_the_server_stops() {
    for flavour in Flavour::ALL {
        let gate = Gate::new();
        let waiter = gate.waiter();
        let pool = pool(2, 4);
        let app = application_fn(move |environ, start_response| {
            let write = start_response("200 OK", &[])?;
            write.send(format!("{} {:?}, ", environ.stopping(), environ.wait(Duration::ZERO)))?;
            if environ.path_info() == "/later" {
                waiter.pass("before the wait");
            }
            let waited = environ.wait(BOUND);
            Ok(Chunks::new([format!("{} {waited:?} {:?}", environ.stopping(), environ.wait(BOUND))]))
        });
        let mut server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, axum::Router::new().fallback_service(Gateway::new(app).pool(&pool)))
        });
        let (mut now, mut later) = (server.get("/now"), server.get("/later"));
        let (line, headers) = now.head();
        assert_eq!(gate.await_call(), "before the wait");
        server.stop();
        let text = "false Elapsed, true Stopping Stopping";
        assert_eq!(now.body_of(line, headers).text(), text);
        gate.open();
        assert_eq!(later.reply().text(), text);
        assert!(server.report().is_clean());
    }
}

/// POOL-18: also in a handler, for its thread in `Streamed`, and for the extractor.
#[test]
fn a_wait_of_a_handler_ends_when_the_server_stops() {
    fn events(stopping: Stopping) -> Streamed {
        Streamed::events(move |events| {
            events.send(&Event::new(format!("{} {:?}", stopping.is_stopping(), events.wait(Duration::ZERO))))?;
            let waited = events.wait(BOUND);
            Ok(events.send(&Event::new(format!("{} {waited:?}", stopping.is_stopping())))?)
        })
    }
    for flavour in Flavour::ALL {
        let pool = pool(1, 4);
        let mut server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, axum::Router::new().route("/", get(pool.handler(events))))
        });
        let mut connection = server.get("/");
        let _head = connection.head();
        assert_eq!(connection.chunk(), b"data: false Elapsed\n\n");
        server.stop();
        assert_eq!(connection.chunk(), b"data: true Stopping\n\n");
        assert!(server.report().is_clean());
    }
}

/// DISC-03.
#[test]
fn a_wait_of_a_handler_ends_when_the_client_disconnects() {
    let (report, reported) = mpsc::channel();
    let pool = pool(1, 4);
    let events = move || {
        let report = report.clone();
        Streamed::events(move |events| {
            report.send(events.wait(BOUND))?;
            Ok(())
        })
    };
    let mut server = Stoppable::start(Flavour::MultiThread, move |listener| {
        gateway::serve(listener, axum::Router::new().route("/", get(pool.handler(events))))
    });
    let mut leaving = server.get("/");
    leaving.head();
    drop(leaving);
    assert_eq!(recv(&reported), gateway::Wait::ClientGone);
    assert!(server.report().is_clean());
}

/// DISC-03: the disconnect takes precedence.
#[test]
fn a_wait_ends_when_the_client_disconnects() {
    let (report, reported) = mpsc::channel();
    let pool = pool(1, 4);
    let app = application_fn(move |environ, start_response| {
        start_response("200 OK", &[])?.send("")?;
        report.send(environ.wait(BOUND))?;
        Ok(Chunks::empty())
    });
    let mut server = Stoppable::start(Flavour::MultiThread, move |listener| {
        gateway::serve(listener, axum::Router::new().fallback_service(Gateway::new(app).pool(&pool)))
    });
    let mut leaving = server.get("/");
    leaving.head();
    drop(leaving);
    assert_eq!(recv(&reported), gateway::Wait::ClientGone);
    assert!(server.report().is_clean());
}

/// POOL-18.
#[test]
fn queued_requests_are_refused_when_the_grace_is_over() {
    let (mut server, gate) = serve_gated(Flavour::CurrentThread, |server| server.grace(SHORT));
    let _running = server.get("/gated");
    gate.await_call();
    let mut queued = server.get("/gated");
    assert_eq!(server.get("/fast").reply().status(), 200);
    let report = server.report();
    assert_eq!(queued.reply().status(), 503);
    assert_eq!((report.running.len(), report.connections_cut), (1, 1));
}

/// An application whose client has disconnected still gets the grace period to finish.
#[test]
fn an_application_without_a_client_is_waited_for() {
    let (gate, waiter) = Gate::pair();
    let (finished, has_finished) = mpsc::channel();
    let pool = pool(1, 4);
    let app = application_fn(move |environ, _| {
        waiter.note(environ.path_info());
        assert!(environ.wait_for_disconnect(BOUND));
        waiter.pass("in the application");
        finished.send(())?;
        Ok(Chunks::empty())
    });
    let mut server = Stoppable::start(Flavour::MultiThread, move |listener| {
        gateway::serve(listener, axum::Router::new().fallback_service(Gateway::new(app).pool(&pool))).pool(&pool)
    });
    let leaving = server.get("/");
    gate.await_call();
    drop(leaving);
    gate.await_call();
    server.stop();
    gate.let_one();
    assert!(server.report().is_clean());
    assert_eq!(has_finished.try_recv(), Ok(()));
}

/// ERR-05: a partial response is visibly truncated, even if the end of the connection ends it.
#[test]
fn a_cut_response_does_not_look_complete() {
    let (gate, waiter) = Gate::pair();
    let pool = pool(1, 4);
    let app = application_fn(move |_, start_response| {
        start_response("200 OK", &[])?.send("half")?;
        waiter.pass("in the application");
        Ok(Chunks::empty())
    });
    let mut server = Stoppable::start(Flavour::MultiThread, move |listener| {
        let router = axum::Router::new().fallback_service(Gateway::new(app).pool(&pool));
        gateway::serve(listener, router).pool(&pool).grace(SHORT)
    });
    let mut chunked = server.get("/");
    let (line, headers) = chunked.head();
    gate.await_call();
    assert_eq!(server.report().connections_cut, 1);
    assert_eq!(chunked.body_of(line, headers).ending, Ending::Broken);
}

/// HTTP-17: on HTTP/2 the client receives a GOAWAY, and the answers to its requests.
#[tokio::test(crate = "crate::bounded")]
async fn http2_streams_are_finished() {
    let (mut server, gate) = serve_gated(Flavour::MultiThread, |server| server);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://test.local/gated").body(Empty::<Bytes>::new()).unwrap();
    let answer = tokio::spawn(client.send_request(request));
    let mut idle = idle(&server);
    gate.begun().await;
    server.stop();
    assert!(idle.is_closed());
    gate.let_one();
    let response = answer.await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    connection.await.unwrap().unwrap();
    assert!(server.report().is_clean());
}

#[test]
fn a_server_without_pools_stops_as_well() {
    for flavour in Flavour::ALL {
        let mut server = Stoppable::start(flavour, |listener| gateway::serve(listener, axum::Router::new()));
        assert_eq!(server.get("/").reply().status(), 404);
        assert!(server.report().is_clean());
    }
}

/// An empty line is not a request, and the drain does not wait for it, on a new connection or after an answer (RFC 9112
/// §2.2).
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn empty_lines_hold_up_no_shutdown() {
    for before in ["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for blank in ["\r\n", "\r\n\r\n", "\n"] {
            let (network, listener) = Network::new();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
            let report = tokio::spawn(gateway::serve(listener, router).with_graceful_shutdown(stopped).run());
            let mut client = network.connect(1 << 16);
            send(&mut client, before).await;
            if !before.is_empty() {
                read_until(&mut client, "hello").await;
            }
            send(&mut client, blank).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let begun = tokio::time::Instant::now();
            stop.send(()).expect("the server runs");
            assert!(report.await.expect("runs").expect("stops").is_clean());
            // The server lingers for a short time to read further bytes of the client.
            assert!(begun.elapsed() <= Duration::from_secs(3), "{before:?} {blank:?}: {:?}", begun.elapsed());
        }
    }
}

/// A client that has connected before the stop is answered, whether the server has accepted it or not. What it has sent
/// may not have reached the server at that moment.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn the_first_request_of_a_connection_is_waited_for() {
    for is_accepted in [false, true] {
        let (network, listener) = Network::new();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let report = tokio::spawn(gateway::serve(listener, router).with_graceful_shutdown(stopped).run());
        let mut client = network.connect(1 << 16);
        if is_accepted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.send(()).expect("the server runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = read_to_end(&mut client).await;
        assert!(answer.ends_with("hello"), "{is_accepted}: {answer}");
        drop(client);
        assert!(report.await.expect("runs").expect("stops").is_clean());
    }
}

/// The drain waits for a head that has begun before the shutdown, even on a used connection.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_later_head_on_its_way_is_waited_for() {
    let (network, listener) = Network::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let report = tokio::spawn(gateway::serve(listener, router).with_graceful_shutdown(stopped).run());
    let mut client = network.connect(1 << 16);
    for pause in [0, 5000] {
        send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        read_until(&mut client, "hello").await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    send(&mut client, "GET / HTTP/1.1\r\nHo").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.send(()).expect("the server runs");
    tokio::time::sleep(Duration::from_secs(5)).await;
    send(&mut client, "st: a\r\n\r\n").await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.ends_with("hello") && answer.contains("connection: close"), "{answer}");
    drop(client);
    assert!(report.await.expect("runs").expect("stops").is_clean());
}
