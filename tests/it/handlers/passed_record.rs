//! The record of a passed body, however the server polls it.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::Bytes;
use gateway_tests::{Capture, Server, block_on, http2};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use tower::ServiceExt as _;

use super::passed::{By, Row, check_log, paths, router};
use super::pool;

/// How a server takes a body.
#[derive(Clone, Copy, Debug)]
enum Polls {
    /// Until there is no frame.
    ToTheEnd,
    /// Not after the last declared byte, as hyper on HTTP/1.
    ToTheDeclaredLength,
    /// Not once the body says that it has ended, as hyper on HTTP/2.
    WhileItHasNotEnded,
}

async fn take(response: Response, polls: Polls) {
    let declared = response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse().unwrap());
    let mut body = response.into_body();
    let mut taken = 0;
    let is_over = |body: &Body, taken: usize| match polls {
        Polls::ToTheEnd => false,
        Polls::ToTheDeclaredLength => declared.is_some_and(|declared: usize| taken >= declared),
        Polls::WhileItHasNotEnded => body.is_end_stream(),
    };
    while !is_over(&body, taken) {
        let Some(Ok(frame)) = body.frame().await else { return };
        taken += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// LOG-12, END-09.
#[test]
fn a_record_is_right_however_the_server_polls() {
    let router = router();
    let ask = |by: By, path: &str, row: &Row, polls: Polls| {
        let capture = Capture::begin();
        let request = Request::get(path).header("x-request-id", capture.id()).body(Body::empty()).unwrap();
        block_on(async { take(router.clone().oneshot(request).await.unwrap(), polls).await });
        check_log(&capture.events_to_the_record(), by, row, Some(row.body.len()));
    };
    for polls in [Polls::ToTheEnd, Polls::ToTheDeclaredLength, Polls::WhileItHasNotEnded] {
        for (by, path, row) in paths() {
            ask(by, &path, row, polls);
        }
    }
}

/// LOG-12, DISC-02: a client that leaves before the last byte is gone, whatever the body would still have done.
#[test]
fn a_client_that_leaves_a_passed_body_is_on_record() {
    let half = || {
        let some = futures_util::stream::iter([Ok::<_, std::io::Error>("half")]);
        Body::from_stream(futures_util::StreamExt::chain(some, futures_util::stream::pending()))
    };
    let router = || {
        let router = axum::Router::new().route("/", axum::routing::get(pool().handler(half)));
        router.layer(gateway::RequestIdLayer::new())
    };
    let outcome = |capture: &Capture| {
        let events = capture.events_to_the_record();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].text.split("bytes=").nth(1).unwrap().to_owned()
    };
    for server in [Server::of(router()), Server::with_axum(router())] {
        let capture = Capture::begin();
        let mut connection = server.connect();
        connection.send(&format!("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: {}\r\n\r\n", capture.id()));
        connection.head();
        assert_eq!(connection.chunk(), b"half");
        drop(connection);
        let record = outcome(&capture);
        assert!(record.starts_with("4 ") && record.ends_with("outcome=client gone "), "{record}");

        let capture = Capture::begin();
        block_on(async {
            let mut client = http2(server.address()).await;
            let request = Request::get("http://h/").header("x-request-id", capture.id());
            let response = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            let mut body = response.into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        });
        let record = outcome(&capture);
        assert!(record.starts_with("4 ") && record.ends_with("outcome=client gone "), "{record}");
    }
}

/// LOG-12: the record of a handler has the time that it ran, although its body is taken before its job has ended.
#[test]
fn a_record_has_the_run_time_of_a_handler() {
    let router = axum::Router::new().route("/", axum::routing::get(pool().handler(|| "quick")));
    let router = router.layer(gateway::RequestIdLayer::new());
    // The thread and the runtime race: without the time before the message, some of the records lack it.
    for _ in 0..1000 {
        let capture = Capture::begin();
        let request = Request::get("/").header("x-request-id", capture.id()).body(Body::empty()).unwrap();
        block_on(async { router.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap() });
        let events = capture.events_to_the_record();
        assert!(events[0].text.contains("run_ms="), "{events:?}");
    }
}
