//! When the input of a handler ends: with its deadline, and with its request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use gateway::{DeadlineExceeded, Gateway, Input, Pool, Spool};
use gateway_tests::{Server, recv, until};

use super::pool;

/// Requests with a complete body, in each framing.
const COMPLETE: [&str; 2] = [
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// Requests whose body is larger than a read-ahead of four bytes, and never complete.
const INCOMPLETE: [&str; 2] = [
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
];

/// Mounts that keep a body of five bytes in memory, and in memory and a file.
fn mounts(pool: &Pool) -> [Gateway; 2] {
    let spool = Spool::builder().memory(0).build().unwrap();
    [pool.gateway(), pool.gateway().spool(&spool)]
}

/// ERR-16: reads fail from the deadline on, whether the body is complete or not, as in an application.
#[test]
fn an_input_cannot_be_read_after_the_deadline() {
    // Each body may stream, even if the one before has not returned its permit yet.
    let pool = Pool::builder().threads(2).uploads(64).build().unwrap();
    let complete = mounts(&pool).into_iter().flat_map(|api| COMPLETE.map(|request| (api.clone(), request)));
    let incomplete = INCOMPLETE.map(|request| (pool.gateway().read_ahead(4), request));
    for (api, request) in complete.chain(incomplete) {
        // On a busy machine, a short deadline may pass before the handler begins.
        let has_begun = (0..12).map(|doubled| Duration::from_millis(10 << doubled)).any(|deadline| {
            let (report, reported) = mpsc::channel();
            let begun = Arc::new(AtomicBool::new(false));
            let begins = Arc::clone(&begun);
            let late = move |mut input: Input| {
                begins.store(true, Ordering::SeqCst);
                let end = Instant::now() + deadline;
                while Instant::now() < end {
                    std::thread::yield_now();
                }
                for _ in 0..2 {
                    let read = input.read_all();
                    report.send(read.map_err(|error| error.find::<DeadlineExceeded>().is_some())).unwrap();
                }
            };
            let handler = post(api.clone().deadline(deadline).handler(late));
            let server = Server::of(Router::new().route("/", handler));
            assert!(server.connect().request(request).status() >= 500);
            // After the response, a handler that has not begun never begins.
            let has_begun = begun.load(Ordering::SeqCst);
            if has_begun {
                assert_eq!([recv(&reported), recv(&reported)], [Err(true), Err(true)], "{request}");
            }
            has_begun
        });
        assert!(has_begun, "{request}");
    }
}

/// IN-24, IN-25: an input that the handler keeps ends with its request.
#[test]
fn an_input_kept_past_its_request_fails_cleanly() {
    let pool = pool();
    for api in mounts(&pool) {
        for request in COMPLETE {
            let (keep, kept) = mpsc::channel();
            let handler = post(api.handler(move |mut input: Input| -> gateway::Result<&'static str> {
                assert_eq!(input.read_up_to(1)?, b"h");
                keep.send(input)?;
                Ok("kept")
            }));
            let server = Server::of(Router::new().route("/", handler));
            assert_eq!(server.connect().request(request).text(), "kept");
            let mut input: Input = recv(&kept);
            until("the request has ended", || pool.stats().busy == 0);
            // The rest of the current piece may be read.
            let _ = input.read_up_to(4);
            for _ in 0..2 {
                let error = input.read_all().expect_err("the request is over");
                assert!(error.is_disconnected(), "{error:?}");
            }
        }
    }
}

/// IN-24: an input that was read to its end stays at its end.
#[test]
fn an_input_that_was_read_is_at_its_end_for_good() {
    for request in COMPLETE {
        let (keep, kept) = mpsc::channel();
        let handler = post(pool().handler(move |mut input: Input| -> gateway::Result<Vec<u8>> {
            let body = input.read_all()?;
            keep.send(input)?;
            Ok(body)
        }));
        let server = Server::of(Router::new().route("/", handler));
        assert_eq!(server.connect().request(request).text(), "hello");
        assert_eq!(recv(&kept).read_all().unwrap(), b"");
    }
}
