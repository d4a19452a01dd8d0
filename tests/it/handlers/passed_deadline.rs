//! The deadline of a passed body. The handlers run within the call, as the clock is paused.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use gateway::testing::Inline;
use gateway::{BlockingFn, RequestIdLayer};
use gateway_tests::Capture;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::pool;

const DEADLINE: Duration = Duration::from_secs(3);

async fn ask<F, T>(handler: F) -> (Response, Capture)
where
    F: BlockingFn<T, ()>,
    T: 'static,
{
    let api = pool().gateway().executor(Inline::new()).deadline(DEADLINE);
    let router = Router::new().route("/", get(api.handler(handler))).layer(RequestIdLayer::new());
    let capture = Capture::begin();
    let request = Request::get("/").header("x-request-id", capture.id()).body(Body::empty()).unwrap();
    (router.oneshot(request).await.unwrap(), capture)
}

/// The levels of the log, and the end of the record.
fn log(capture: &Capture) -> (Vec<tracing::Level>, String) {
    let events = capture.events();
    let (records, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.target == "gateway::access");
    assert_eq!(records.len(), 1, "{events:?}");
    let outcome = records[0].text.split("bytes=").nth(1).unwrap();
    let outcome = outcome.split_whitespace().filter(|field| !field.contains("_ms=")).collect::<Vec<_>>().join(" ");
    (others.iter().map(|event| event.level).collect(), outcome)
}

fn late(bytes: usize) -> (Vec<tracing::Level>, String) {
    (vec![tracing::Level::WARN], format!("{bytes} outcome=deadline"))
}

fn text(text: &'static str) -> Result<&'static str, std::io::Error> {
    Ok(text)
}

/// ERR-16: the head was sent, and no byte follows it.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_passed_body_that_never_begins_is_broken_off_at_the_deadline() {
    let start = tokio::time::Instant::now();
    let (response, capture) = ask(|| Body::from_stream(stream::pending::<Result<&str, std::io::Error>>())).await;
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(log(&capture), late(0));
}

/// ERR-16: the same with a length, and after some bytes.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_passed_body_that_stops_is_broken_off_at_the_deadline() {
    for declared in [false, true] {
        let start = tokio::time::Instant::now();
        let (response, capture) = ask(move || {
            let body = Body::from_stream(stream::iter([text("half")]).chain(stream::pending()));
            let mut response = Response::new(body);
            if declared {
                response.headers_mut().insert("content-length", 8.into());
            }
            response
        })
        .await;
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        assert!(body.frame().await.unwrap().is_err());
        drop(body);
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(log(&capture), late(4));
    }
}

/// ERR-16: an endless body that never waits is bounded, too.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_passed_body_that_always_goes_on_is_broken_off_at_the_deadline() {
    let (response, capture) = ask(|| Body::from_stream(stream::repeat_with(|| text("more")))).await;
    let mut body = response.into_body();
    for _ in 0..2 {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "more");
    }
    tokio::time::advance(DEADLINE).await;
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(log(&capture), late(8));
}

/// ERR-16: the empty frames of a stream do not hold up its deadline, nor the runtime.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_passed_body_of_empty_frames_is_broken_off_at_the_deadline() {
    let (response, capture) = ask(|| Body::from_stream(stream::repeat_with(|| text("")))).await;
    let mut body = response.into_body();
    assert!(futures_util::poll!(body.frame()).is_pending());
    tokio::time::advance(DEADLINE).await;
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(log(&capture), late(0));
}

/// ERR-16: a body that the server has in its hands is not late, however slowly the client takes it. An application that
/// has returned is not late either.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_passed_body_that_is_here_is_not_late() {
    for chunked in [false, true] {
        let (response, capture) = ask(move || {
            let whole = vec![b'x'; 200_000];
            if chunked { Body::from_stream(stream::iter([Ok::<_, std::io::Error>(whole)])) } else { Body::from(whole) }
        })
        .await;
        let mut body = response.into_body();
        let mut taken = 0;
        // A stream without a length is not known to be complete until its end is there.
        if !chunked {
            taken += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
            tokio::time::advance(2 * DEADLINE).await;
        }
        while let Some(frame) = body.frame().await {
            taken += frame.unwrap().into_data().unwrap().len();
        }
        drop(body);
        assert_eq!(taken, 200_000);
        assert_eq!(log(&capture), (Vec::new(), "200000 outcome=complete".to_owned()));
    }
}

/// BP-02: a large frame is given to the server in parts, so that a slow client shows progress.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_large_frame_is_given_in_parts() {
    for chunked in [false, true] {
        let (response, _) = ask(move || {
            let frames = [vec![b'a'; 100_000], vec![b'b'; 10]];
            if chunked {
                Body::from_stream(stream::iter(frames.map(Ok::<_, std::io::Error>)))
            } else {
                Body::from(frames.concat())
            }
        })
        .await;
        let mut body = response.into_body();
        let mut parts = Vec::new();
        while let Some(frame) = body.frame().await {
            parts.push(frame.unwrap().into_data().unwrap());
        }
        assert!(
            parts.iter().all(|part| part.len() <= 64 * 1024),
            "{:?}",
            parts.iter().map(|p| p.len()).collect::<Vec<_>>()
        );
        assert_eq!(parts.concat(), [vec![b'a'; 100_000], vec![b'b'; 10]].concat());
    }
}
