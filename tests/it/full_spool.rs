//! Uploads that find the spool full, at their start or in the middle: they wait, and are not lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any_service, post};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway::{Chunks, Input, Pool, Spool, application_fn};
use gateway_tests::{Gate, Server, http2, until, until_async};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::uploads::{Framing, SIZE, begin, counting, finish};

const FRAMINGS: [Framing; 2] = [Framing::Length, Framing::Chunked];

/// The part of a body that the spool has when another body takes the rest of the room.
const SPOOLED: usize = 120_000;

/// The size of a frame. The read-ahead has room for one.
const FRAME: usize = 50_000;

fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}

fn part(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(pattern).collect()
}

/// The length of a body, or an error if its bytes are out of order.
fn measure(mut input: impl std::io::Read) -> gateway::Result<String> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let is_in_order = bytes.iter().enumerate().all(|(at, byte)| *byte == pattern(at));
    Ok(format!("{} bytes, {}", bytes.len(), if is_in_order { "in order" } else { "out of order" }))
}

fn whole() -> String {
    format!("{SIZE} bytes, in order")
}

/// Pools and mounts of a test. One upload streams, and another body is in the spool.
struct Case {
    framing: Framing,
    path: &'static str,
    spool: Spool,
    pool: Pool,
    router: Router,
    /// The body that occupies the spool leaves when this gate opens.
    gate: Gate,
}

impl Case {
    /// Each framing, to an application and to a handler.
    fn all() -> impl Iterator<Item = Self> {
        FRAMINGS.into_iter().flat_map(|framing| ["/application", "/handler"].map(|path| Self::new(framing, path)))
    }

    fn new(framing: Framing, path: &'static str) -> Self {
        fn handler(input: Input) -> gateway::Result<String> {
            measure(input)
        }
        let spool = Spool::builder().memory(0).total(SIZE as u64).build().unwrap();
        let pool = Pool::builder().threads(2).upload_spool(&spool).build().unwrap();
        let gate = Gate::new();
        let occupants = Pool::builder().threads(1).build().unwrap().mount(gate.application()).spool(&spool);
        let app = application_fn(|environ, start_response| {
            let text = measure(environ.input())?;
            start_response("200 OK", &[])?;
            Ok(Chunks::new([text]))
        });
        let router = Router::new()
            .route("/application", any_service(pool.mount(app)))
            .route("/handler", post(pool.handler(handler)))
            .route("/occupant", any_service(occupants));
        Self { framing, path, spool, pool, router, gate }
    }

    fn upload(&self) -> Upload {
        let (frames, mut receiver) = mpsc::channel::<Vec<u8>>(SIZE / FRAME);
        let mut request = http::Request::post(self.path);
        if matches!(self.framing, Framing::Length) {
            request = request.header("content-length", SIZE);
        }
        let frame = |bytes: Vec<u8>| Ok::<_, BoxError>(Frame::data(Bytes::from(bytes)));
        let stream = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|bytes| bytes.map(frame)));
        let request = request.body(Body::new(StreamBody::new(stream))).unwrap();
        Upload { frames: Some(frames), answer: self.router.clone().oneshot(request).boxed() }
    }

    /// An upload that streams.
    async fn streaming(&self) -> Upload {
        let mut upload = self.upload();
        upload.send(0..SIZE / 2);
        upload.drive("an upload streams", || self.pool.stats().busy == 1).await;
        upload
    }

    /// Fills the rest of the spool.
    async fn occupy(&self) -> tokio::task::JoinHandle<Result<Response, std::convert::Infallible>> {
        let rest = vec![0; SIZE - usize::try_from(self.spool.taken()).unwrap()];
        let request = http::Request::post("/occupant").body(Body::from(rest)).unwrap();
        let calls = self.gate.calls().len();
        let answer = tokio::spawn(self.router.clone().oneshot(request));
        // Polls, so that a paused clock does not advance.
        until_async("the other body is in the spool", || self.gate.calls().len() > calls).await;
        assert_eq!(self.spool.taken(), SIZE as u64);
        answer
    }

    /// An upload that waits: with nothing in the spool, or with its first part.
    async fn waiting(
        &self,
        spooled: usize,
    ) -> (Upload, tokio::task::JoinHandle<Result<Response, std::convert::Infallible>>) {
        let mut upload = self.upload();
        if spooled > 0 {
            upload.send(0..spooled);
            upload.drive("the first part is in the spool", || self.spool.taken() == spooled as u64).await;
        }
        let occupant = self.occupy().await;
        upload.send(spooled..SIZE);
        upload.drive("the upload is polled", || true).await;
        (upload, occupant)
    }
}

/// A request whose body the test sends frame by frame.
struct Upload {
    frames: Option<mpsc::Sender<Vec<u8>>>,
    answer: futures_util::future::BoxFuture<'static, Result<Response, std::convert::Infallible>>,
}

impl Upload {
    /// Sends a part of the body; with the last part, the end.
    fn send(&mut self, range: std::ops::Range<usize>) {
        let is_last = range.end == SIZE;
        for start in range.clone().step_by(FRAME) {
            self.frames.as_ref().unwrap().try_send(part(start..range.end.min(start + FRAME))).unwrap();
        }
        self.frames.take_if(|_| is_last);
    }

    /// Polls the request, which cannot be answered yet, until the condition holds.
    async fn drive(&mut self, condition: &str, mut holds: impl FnMut() -> bool) {
        until_async(condition, || {
            let answer = (&mut self.answer).now_or_never();
            assert!(answer.is_none(), "{condition}: {answer:?}");
            holds()
        })
        .await;
    }

    async fn text(self) -> String {
        let response = self.answer.await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, 200, "{bytes:?}");
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

/// IN-26: the spooled part of the body comes first, and then the rest, as it arrives.
#[tokio::test(crate = "crate::bounded")]
async fn an_upload_that_waits_streams_when_another_has_ended() {
    for case in Case::all() {
        for spooled in [0, SPOOLED] {
            let mut first = case.streaming().await;
            let (second, occupant) = case.waiting(spooled).await;
            first.send(SIZE / 2..SIZE);
            assert_eq!(first.text().await, whole());
            assert_eq!(second.text().await, whole(), "{} {:?} {spooled}", case.path, case.framing);
            case.gate.let_one();
            assert_eq!(occupant.await.unwrap().unwrap().status(), 200);
            until_async("the spool is empty", || case.spool.taken() == 0).await;
        }
    }
}

/// The upload that streams keeps its permit: the other one is spooled.
#[tokio::test(crate = "crate::bounded")]
async fn an_upload_that_waits_is_spooled_when_there_is_room() {
    for case in Case::all() {
        for spooled in [0, SPOOLED] {
            let mut first = case.streaming().await;
            let (second, occupant) = case.waiting(spooled).await;
            case.gate.let_one();
            assert_eq!(occupant.await.unwrap().unwrap().status(), 200);
            assert_eq!(second.text().await, whole(), "{} {:?} {spooled}", case.path, case.framing);
            first.send(SIZE / 2..SIZE);
            assert_eq!(first.text().await, whole());
            until_async("the spool is empty", || case.spool.taken() == 0).await;
        }
    }
}

/// POOL-07, POOL-08: an upload waits for no longer than a job, and its client is told when to come again.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_upload_waits_no_longer_than_the_queue_timeout() {
    for case in Case::all() {
        for (number, spooled) in [0, SPOOLED].into_iter().enumerate() {
            let mut first = case.streaming().await;
            let (second, _occupant) = case.waiting(spooled).await;
            let start = Instant::now();
            let response = second.answer.await.unwrap();
            assert_eq!(response.status(), 503, "{} {:?} {spooled}", case.path, case.framing);
            assert!(response.headers().contains_key("retry-after"));
            assert_eq!(start.elapsed().as_secs(), 10);
            let stats = case.pool.stats();
            assert_eq!((stats.expired, stats.shed), (number as u64 + 1, 0));
            case.gate.let_one();
            first.send(SIZE / 2..SIZE);
            assert_eq!(first.text().await, whole());
            until_async("the spool is empty", || case.spool.taken() == 0).await;
        }
    }
}

/// A request that is dropped while it waits has no permit and no part of the spool.
#[tokio::test(crate = "crate::bounded")]
async fn an_upload_that_is_dropped_while_it_waits_leaves_nothing() {
    for case in Case::all() {
        for spooled in [0, SPOOLED] {
            let mut first = case.streaming().await;
            let (second, occupant) = case.waiting(spooled).await;
            drop(second);
            case.gate.let_one();
            assert_eq!(occupant.await.unwrap().unwrap().status(), 200);
            until_async("the spool is empty", || case.spool.taken() == 0).await;
            first.send(SIZE / 2..SIZE);
            assert_eq!(first.text().await, whole());
            let mut third = case.streaming().await;
            third.send(SIZE / 2..SIZE);
            assert_eq!(third.text().await, whole());
        }
    }
}

/// IN-26: a body that is larger than the whole spool waits, too, until it may stream.
#[test]
fn an_upload_waits_while_the_spool_is_full() {
    let spool = Spool::builder().total(1000).build().unwrap();
    let (pool, server) = counting(Pool::builder().threads(2).upload_spool(&spool));
    let mut first = begin(&server, Framing::Length);
    until("one upload streams", || pool.stats().busy == 1);
    let mut second = server.connect();
    second.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n"));
    assert_eq!(server.get("/").text(), "0 bytes");
    assert_eq!(finish(&mut first, Framing::Length), format!("{SIZE} bytes"));
    second.send_bytes(&vec![b'x'; SIZE]);
    assert_eq!(second.reply().text(), format!("{SIZE} bytes"));
    assert_eq!(spool.taken(), 0);
}

/// The requests that have begun and not ended.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

impl Open {
    async fn count(self, request: Request, next: Next) -> Response {
        struct Guard(Open);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        let _guard = Guard(self);
        next.run(request).await
    }

    fn layer(&self, router: &Router) -> Router {
        let open = self.clone();
        router.clone().layer(from_fn(move |request, next| open.clone().count(request, next)))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// DISC-05: the client disconnects, and has not sent more than the read-ahead.
#[test]
fn an_upload_that_waits_ends_when_its_client_disconnects() {
    for path in ["/application", "/handler"] {
        let case = Case::new(Framing::Length, path);
        let open = Open::default();
        for server in [Server::of(open.layer(&case.router)), Server::with_axum(open.layer(&case.router))] {
            let connect = |size: usize| {
                let mut connection = server.connect();
                connection.send(&format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n"));
                connection.send_bytes(&part(0..size));
                connection
            };
            let first = connect(100_000);
            until("one upload streams", || case.pool.stats().busy == 1);
            let second = connect(1000);
            until("the second request has begun", || open.get() == 2);
            drop(second);
            until("the second request has ended", || open.get() == 1);
            assert_eq!(case.pool.stats().busy, 1, "the second request has no thread");
            drop(first);
            until("the thread is idle", || case.pool.stats().busy == 0);
        }
    }
}

/// DISC-05: the same on HTTP/2, where a reset is noticed however much the client has sent.
#[tokio::test(crate = "crate::bounded")]
async fn an_upload_that_waits_ends_when_its_stream_is_reset() {
    let case = Case::new(Framing::Length, "/application");
    let open = Open::default();
    let server = Server::of(open.layer(&case.router));
    let mut client = http2(server.address()).await;
    let mut send = |size: usize| {
        let body = StreamBody::new(futures_util::stream::unfold(Some(part(0..size)), |bytes| async {
            let Some(bytes) = bytes else { return std::future::pending().await };
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(bytes))), None))
        }));
        let request = http::Request::post(format!("http://h{}", case.path)).header("content-length", 300_000);
        tokio::spawn(client.send_request(request.body(body.boxed_unsync()).unwrap()))
    };
    let first = send(100_000);
    until_async("one upload streams", || case.pool.stats().busy == 1).await;
    let second = send(100_000);
    until_async("the second request has begun", || open.get() == 2).await;
    second.abort();
    until_async("the second request has ended", || open.get() == 1).await;
    first.abort();
    until_async("the thread is idle", || case.pool.stats().busy == 0).await;
}
