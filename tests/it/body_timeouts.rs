//! Clients that send slowly, on a paused clock: it advances by itself when all tasks wait.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use gateway::{Gateway, InputError};
use gateway_tests::answer_fn;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};
use tower::ServiceExt as _;

/// A body of this many single bytes, with a pause before each.
struct Trickle {
    bytes: usize,
    pause: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Trickle {
    fn new(bytes: usize, pause: Duration) -> Self {
        Self { bytes, pause, sleep: Box::pin(sleep(pause)) }
    }
}

impl http_body::Body for Trickle {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Infallible>>> {
        if self.bytes == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.sleep.as_mut().poll(cx));
        let next = Instant::now() + self.pause;
        self.sleep.as_mut().reset(next);
        self.bytes -= 1;
        Poll::Ready(Some(Ok(Frame::data(bytes::Bytes::from_static(b"x")))))
    }
}

/// Sends a body to an application that reads all of it; returns the status and the elapsed seconds.
async fn send(gateway: Gateway, body: Trickle) -> (u16, u64) {
    let start = Instant::now();
    let response = gateway.oneshot(http::Request::post("/").body(body).unwrap()).await.unwrap();
    (response.status().as_u16(), start.elapsed().as_secs())
}

fn reader() -> Gateway {
    Gateway::new(answer_fn(|environ| {
        let body = environ.input().read_all()?;
        Ok([body])
    }))
}

/// IN-21: a wait that exceeds the timeout ends in 408; a shorter wait has no effect.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_body_that_stalls_is_408() {
    let gateway = reader().body_idle(Duration::from_secs(5));
    assert_eq!(send(gateway.clone(), Trickle::new(3, Duration::from_secs(4))).await, (200, 12));
    assert_eq!(send(gateway, Trickle::new(3, Duration::from_secs(6))).await, (408, 5));
}

/// IN-21: also inside an error type of another library.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_timeout_in_an_anyhow_error_is_408() {
    use anyhow::Context as _;

    fn read(environ: &mut gateway::Environ) -> anyhow::Result<Vec<u8>> {
        Ok(environ.input().read_all()?)
    }
    let plain = answer_fn(|environ| Ok([read(environ).map_err(gateway::Error::new)?]));
    let in_context = answer_fn(|environ| Ok([read(environ).context("while reading").map_err(gateway::Error::new)?]));
    for gateway in [Gateway::new(plain), Gateway::new(in_context)] {
        let gateway = gateway.body_idle(Duration::from_secs(5));
        assert_eq!(send(gateway, Trickle::new(3, Duration::from_secs(6))).await, (408, 5));
    }
}

/// Single bytes do not reset the deadline.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_trickle_runs_out_of_time() {
    let gateway = reader().body_idle(Duration::from_secs(5)).body_deadline(Duration::from_secs(10));
    assert_eq!(send(gateway, Trickle::new(100, Duration::from_secs(4))).await, (408, 10));
}

/// IN-18: the error has its own kind, and later reads return it, too.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_timeout_is_a_sticky_error_of_its_own() {
    let app = answer_fn(|environ| {
        for _ in 0..2 {
            let error = environ.input().read_all().expect_err("too slow");
            assert_eq!(error.find::<InputError>(), Some(&InputError::TimedOut));
        }
        Ok(["coped"])
    });
    let gateway = Gateway::new(app).body_idle(Duration::from_secs(1));
    assert_eq!(send(gateway, Trickle::new(1, Duration::from_secs(2))).await, (200, 1));
}

/// POOL-24, SEC-12: a body that fits in the read-ahead takes no thread before it is complete.
#[tokio::test(crate = "crate::bounded")]
async fn a_slow_small_body_takes_no_thread() {
    let pool = gateway::Pool::builder().threads(1).build().unwrap();
    let gateway = reader().pool(&pool);
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let no_frame = |_| std::future::ready(None::<Result<Frame<bytes::Bytes>, Infallible>>);
    let ends_later = http_body_util::StreamBody::new(stream::once(gate).filter_map(no_frame));
    let slow = gateway.clone().oneshot(http::Request::post("/").body(ends_later).unwrap());
    let slow = tokio::spawn(slow);
    tokio::task::yield_now().await;
    // This request needs the only thread, and gets it.
    let empty = http::Request::post("/").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(gateway.oneshot(empty).await.unwrap().status(), 200);
    open.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
}

/// IN-26, BP-03: the read-ahead keeps the bytes of a body, and not the buffers that contained them.
#[tokio::test(crate = "crate::bounded")]
async fn a_small_piece_does_not_keep_the_buffer_it_came_in() {
    struct Buffer(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Buffer {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let kept = Arc::new(AtomicUsize::new(0));
    let (frames, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let stream = http_body_util::StreamBody::new(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let mut answer = std::pin::pin!(reader().oneshot(http::Request::post("/").body(stream).unwrap()));
    for _ in 0..10 {
        kept.fetch_add(1, Ordering::SeqCst);
        let buffer = bytes::Bytes::from_owner(Buffer(vec![b'x'; 8192], Arc::clone(&kept)));
        frames.send(Ok::<_, Infallible>(Frame::data(buffer.slice(17..18)))).unwrap();
        drop(buffer);
        assert!(futures_util::poll!(&mut answer).is_pending());
        assert_eq!(kept.load(Ordering::SeqCst), 0);
    }
    drop(frames);
    let body = http_body_util::BodyExt::collect(answer.await.unwrap().into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "xxxxxxxxxx");
}
