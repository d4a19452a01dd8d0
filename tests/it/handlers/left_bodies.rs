//! Bodies that the extractors of a handler do not read to their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway::{Input, Pool};
use gateway_tests::{Server, until_async};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

use super::pool;

/// Heads of a body of `size` bytes, in each framing.
fn heads(size: usize) -> [String; 2] {
    ["Content-Length: ".to_owned() + &size.to_string(), "Transfer-Encoding: chunked".to_owned()]
        .map(|framing| format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"))
}

/// Takes the input, and rejects the request.
struct TakesAndRejects;

impl<S: Send + Sync> FromRequest<S> for TakesAndRejects {
    type Rejection = StatusCode;

    async fn from_request(request: Request, state: &S) -> Result<Self, StatusCode> {
        let _input = Input::from_request(request, state).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        Err(StatusCode::IM_A_TEAPOT)
    }
}

/// IN-22: the rest of a body that no handler will read costs the connection, and a complete body does not.
#[test]
fn a_rejection_ends_the_connection_if_the_input_is_incomplete() {
    // Both incomplete bodies may stream.
    let pool = Pool::builder().threads(2).uploads(2).build().unwrap();
    let router = Router::new().route("/", post(pool.handler(|_: TakesAndRejects| "not called")));
    let axum = Server::with_axum(router);
    for (is_chunked, head) in heads(400_000).into_iter().enumerate() {
        let mut connection = axum.connect();
        connection.send(&head);
        if is_chunked == 1 {
            connection.send_chunk(&vec![b'x'; 100_000]);
        } else {
            connection.send_bytes(&vec![b'x'; 100_000]);
        }
        let reply = connection.reply();
        assert_eq!((reply.status(), reply.header("connection")), (418, Some("close")), "{head}");
    }
    for (head, body) in heads(3).into_iter().zip(["abc", "3\r\nabc\r\n0\r\n\r\n"]) {
        let mut connection = axum.connect();
        for _ in 0..2 {
            let reply = connection.request(&format!("{head}{body}"));
            assert_eq!((reply.status(), reply.header("connection")), (418, None), "{head}");
        }
    }
}

/// The size hints before each frame of a body.
struct Hints(String);

impl<S: Send + Sync> FromRequest<S> for Hints {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &S) -> Result<Self, StatusCode> {
        let mut body = request.into_body();
        let mut hints = vec![body.size_hint().exact()];
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| StatusCode::BAD_GATEWAY)?;
            hints.push(body.size_hint().exact());
        }
        hints.push(body.size_hint().exact());
        Ok(Self(format!("{hints:?}")))
    }
}

/// A request with a body of several frames, and the bytes that were read of it.
fn request(length: Option<usize>, frames: usize, size: usize) -> (Request, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let frame = move |_| {
        counted.fetch_add(size, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; size])))
    };
    let body = Body::new(StreamBody::new(futures_util::stream::iter(0..frames).map(frame)));
    let mut request = Request::post("/");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    (request.body(body).unwrap(), read)
}

/// A body has an exact size hint if its length is declared: of the bytes that are left.
#[tokio::test(crate = "crate::bounded")]
async fn the_size_hint_of_a_body_is_the_rest_of_its_length() {
    let router = Router::new().route("/", post(pool().handler(|Hints(hints): Hints| hints)));
    for (length, hints) in
        [(Some(12), "[Some(12), Some(8), Some(4), Some(0), Some(0)]"), (None, "[None, None, None, None, Some(0)]")]
    {
        let response = router.clone().oneshot(request(length, 3, 4).0).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, hints);
    }
}

/// Reads one frame.
struct Frugal;

impl<S: Send + Sync> FromRequest<S> for Frugal {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &S) -> Result<Self, StatusCode> {
        request.into_body().frame().await.map(|_| Self).ok_or(StatusCode::BAD_REQUEST)
    }
}

/// IN-22: under a server that does not do so itself, the gateway reads the rest of a body that the extractors leave,
/// so that the response is not lost: up to one MiB.
#[tokio::test(crate = "crate::bounded")]
async fn the_rest_of_a_body_is_discarded_up_to_a_limit() {
    const FRAME: usize = 64 * 1024;
    const FRAMES: usize = 64;
    let router = Router::new().route("/", post(pool().handler(|_: Frugal| "frugal")));
    for is_declared in [true, false] {
        for (frames, expected) in [(4, 4 * FRAME), (FRAMES, FRAME + 1024 * 1024)] {
            let (request, read) = request(is_declared.then_some(frames * FRAME), frames, FRAME);
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            until_async("the rest is discarded", || Arc::strong_count(&read) == 1).await;
            assert_eq!(read.load(Ordering::SeqCst), expected);
        }
    }
}
