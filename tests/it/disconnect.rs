//! A disconnect of the client: a waiting application gets an error, and close runs.

use std::io::Read as _;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use futures_util::stream;
use gateway::{Chunks, Disconnected, Error, Gateway, Pool, application_fn};
use gateway_tests::{
    BOUND, Ending, Flavour, Gate, Journal, Script, Server, Step, answer_fn, call, recv, write_until_refused,
};
use tower::ServiceExt as _;

/// DISC-03, DISC-07, WR-09, WR-10.
#[test]
fn a_blocked_writer_is_woken_with_disconnected() {
    for flavour in Flavour::ALL {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |_, start_response| {
            let write = start_response("200 OK", &[])?;
            let error = write_until_refused(&write);
            // Later writes fail with the same error.
            let later = write.send("more").is_err_and(|error| error.is_disconnected());
            report.send((error.is_disconnected(), error.find::<Disconnected>().is_some(), later))?;
            Err(error.into())
        });
        let server = Server::on(flavour, app);
        let mut connection = server.ask("/");
        connection.head();
        drop(connection);
        assert_eq!(recv(&reported), (true, true, true));
    }
}

/// An endless body, which reports its close.
struct EndlessChunks(Sender<&'static str>);

impl Iterator for EndlessChunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        Some(vec![b'x'; 64 * 1024])
    }
}

impl Drop for EndlessChunks {
    fn drop(&mut self) {
        self.0.send("closed").unwrap();
    }
}

/// DISC-01, DISC-08, END-03, DISC-12.
#[test]
fn iteration_stops_and_close_runs_when_the_client_leaves() {
    let (closed, was_closed) = mpsc::channel();
    let app = answer_fn(move |_| Ok(EndlessChunks(closed.clone())));
    let pool = Pool::builder().threads(1).build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool));
    // One thread: each round needs the slot of the previous round.
    for _ in 0..50 {
        let mut connection = server.ask("/");
        connection.head();
        drop(connection);
        assert_eq!(recv(&was_closed), "closed");
    }
}

/// DISC-04, IN-17, IN-18.
#[test]
fn a_blocked_reader_is_woken_with_an_error() {
    for flavour in Flavour::ALL {
        let (report, reported) = mpsc::channel();
        let app = application_fn(move |environ, _| {
            let mut some = [0; 4];
            environ.input().read_exact(&mut some)?;
            report.send("reading".to_owned())?;
            let error = environ.input().read_all().expect_err("an incomplete body");
            let again = environ.input().read_all().expect_err("still incomplete");
            assert_eq!(error.to_string(), again.to_string());
            report.send("woken".to_owned())?;
            Err(error.into())
        });
        let server = Server::on(flavour, app);
        let mut connection = server.connect();
        // The body exceeds the read-ahead, so that the application runs while the client still sends.
        let sent = "x".repeat(100 * 1024);
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n{sent}"));
        assert_eq!(recv(&reported), "reading");
        drop(connection);
        assert_eq!(recv(&reported), "woken");
    }
}

/// BP-06: a client that stops reading counts as disconnected; its message never looks complete, and the thread becomes
/// free.
#[test]
fn a_client_that_takes_nothing_counts_as_gone() {
    let (closed, was_closed) = mpsc::channel();
    let app = application_fn(move |environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(if environ.path_info() == "/fine" {
            Chunks::new(["fine"])
        } else {
            Chunks::new(EndlessChunks(closed.clone()))
        })
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool).write_stall(Duration::from_millis(50));
    let server = Server::of(gateway);
    let mut stalled = server.ask("/");
    stalled.head();
    assert_eq!(recv(&was_closed), "closed");
    assert_eq!(server.get("/fine").text(), "fine");
    // The bytes in the socket buffers still arrive; the last chunk does not.
    assert_eq!(stalled.rest_of_chunks(), Ending::Broken);
}

/// DISC-02, DISC-06, EXT-02: an application that neither reads nor writes can check for a disconnect, and can wait for
/// it.
#[test]
fn an_application_can_wait_for_its_client_to_leave() {
    for flavour in Flavour::ALL {
        let (report, reported) = mpsc::channel();
        let app = answer_fn(move |environ| {
            assert!(!environ.client_disconnected() && !environ.wait_for_disconnect(Duration::ZERO));
            report.send("waiting")?;
            assert!(environ.wait_for_disconnect(BOUND) && environ.client_disconnected());
            report.send("gone")?;
            Ok(["unread"])
        });
        let server = Server::on(flavour, app);
        let connection = server.ask("/");
        assert_eq!(recv(&reported), "waiting");
        drop(connection);
        assert_eq!(recv(&reported), "gone");
    }
}

/// DISC-13: if a layer drops the future, a reader and all other code see a disconnect.
#[tokio::test(crate = "crate::bounded")]
async fn a_dropped_future_counts_as_a_client_that_has_gone() {
    let (report, reported) = mpsc::channel();
    let app = application_fn(move |environ, _| {
        report.send(environ.client_disconnected().to_string())?;
        let error = environ.input().read_all().expect_err("the body never comes");
        report.send(format!("{} {}", error.is_disconnected(), environ.client_disconnected()))?;
        Err(error.into())
    });
    let never = axum::body::Body::from_stream(stream::pending::<Result<&str, Error>>());
    // With `Expect` there is no read-ahead, so the application runs at once.
    let request = http::Request::post("/").header("expect", "100-continue").body(never).unwrap();
    let mut future = Box::pin(Gateway::new(app).oneshot(request));
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
    assert_eq!(recv(&reported), "false");
    drop(future);
    // The body pump runs on this runtime.
    let woken = tokio::task::spawn_blocking(move || recv(&reported)).await.unwrap();
    assert_eq!(woken, "true true");
}

/// DISC-05, POOL-09, END-10.
#[tokio::test(crate = "crate::bounded")]
async fn a_queued_job_of_a_gone_client_never_runs() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    // `call` itself passes the job to the executor.
    let [first, gone, third] = ["/first", "/gone", "/third"].map(|path| call(&gateway, path));
    drop(gone);
    gate.open();
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(third.await.unwrap().status(), 200);
    assert_eq!(gate.calls(), ["/first", "/third"]);
}

/// HTTP-22: when a response is complete with its head, the application may continue to read.
#[test]
fn an_empty_response_is_no_disconnect() {
    let (done, was_done) = mpsc::channel();
    let app = application_fn(move |environ, start_response| {
        start_response("200 OK", &[("Content-Length", "0")])?.send("")?;
        done.send(environ.input().read_all().map(|body| body.len()))?;
        Ok(Chunks::empty())
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    let body = "x".repeat(200_000);
    connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(connection.reply().status(), 200);
    assert_eq!(recv(&was_done).unwrap(), 200_000);
}

/// END-09: axum drops the body of a response to HEAD, although the client is still connected.
#[test]
fn a_head_request_is_no_disconnect() {
    let journal = Journal::new();
    let (done, was_done) = mpsc::channel();
    let app = application_fn(move |environ, start_response| {
        let write = start_response("200 OK", &[])?;
        write.send("a")?;
        write.send("b")?;
        done.send(environ.input().read_all().map(|body| body.len()))?;
        Ok(Chunks::new(Script::new(&journal, &[Step::Chunk("c")])))
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    let body = "x".repeat(200_000);
    connection.send(&format!("HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(connection.reply_to_head().status(), 200);
    assert_eq!(recv(&was_done).unwrap(), 200_000);
}
