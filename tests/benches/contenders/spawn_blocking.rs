//! The work of `examples/wsgibin.rs` on axum and `tokio::task::spawn_blocking`, written as it is usually written
//! without a gateway: four blocking threads, whole bodies by extractor, streams through a channel, and the graceful
//! shutdown of `axum::serve`.
//!
//! The program has the routes that the load scenarios need, with the same names and the same counters.
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser;
use futures_util::stream;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Serves the routes of the load scenarios with `spawn_blocking`.
#[derive(Parser)]
struct Options {
    /// The port to listen on.
    #[arg(long)]
    port: u16,
    /// The maximum number of blocking threads.
    #[arg(long, default_value_t = 4)]
    threads: usize,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(options.threads)
        .enable_all()
        .build()?
        .block_on(serve(options.port))
}

async fn serve(port: u16) -> io::Result<()> {
    let router = Router::new()
        .route("/fast", get(|| async { "ok" }))
        .route("/count", get(count))
        .route("/ok", get(ok))
        .route("/sleep", get(sleep))
        .route("/bytes", get(sized))
        .route("/stream", get(streamed))
        .route("/raise", get(raise))
        .route("/raise-mid", get(raise_mid))
        .route("/echo", post(echo))
        .route("/sum", post(sum))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(Counters::default());
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let listener = listener.tap_io(|stream| {
        // A connection without `TCP_NODELAY` has a higher latency, but works.
        let _ = stream.set_nodelay(true);
    });
    let mut terminate = signal(SignalKind::terminate())?;
    // Without `into_make_service`, axum would clone the router for every connection.
    axum::serve(listener, router.into_make_service())
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await
}

// ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Named counters. Clones share them.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<HashMap<&'static str, i64>>>);

impl Counters {
    fn add(&self, name: &'static str, amount: i64) -> i64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name).or_default();
        *count += amount;
        *count
    }

    fn get(&self, name: &str) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }

    fn raise_to(&self, name: &'static str, least: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name).or_default();
        *count = least.max(*count);
    }
}

type Arguments = Query<HashMap<String, String>>;

fn number(query: &Arguments, name: &str, default: usize) -> usize {
    query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn count(State(counters): State<Counters>, query: Arguments) -> String {
    counters.get(query.get("k").map_or("", String::as_str)).to_string()
}

// ── the routes ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Runs blocking work; a panic of the work becomes a response of status 500.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StatusCode> {
    spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn ok(State(counters): State<Counters>) -> Result<&'static str, StatusCode> {
    blocking(move || {
        counters.add("ok", 1);
        "ok"
    })
    .await
}

async fn sleep(State(counters): State<Counters>, query: Arguments) -> Result<&'static str, StatusCode> {
    let pause = Duration::from_millis(number(&query, "ms", 0) as u64);
    blocking(move || {
        counters.add("sleep", 1);
        counters.raise_to("running_max", counters.add("running", 1));
        thread::sleep(pause);
        counters.add("running", -1);
        "ok"
    })
    .await
}

async fn sized(query: Arguments) -> Result<Vec<u8>, StatusCode> {
    let size = number(&query, "n", 0);
    blocking(move || vec![b'x'; size]).await
}

async fn echo(State(counters): State<Counters>, body: Bytes) -> Result<Bytes, StatusCode> {
    blocking(move || {
        counters.add("echo", 1);
        body
    })
    .await
}

async fn sum(State(counters): State<Counters>, body: Bytes) -> Result<String, StatusCode> {
    blocking(move || {
        counters.add("sum_success", 1);
        let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{\"bytes\": {}, \"sha256\": \"{digest}\"}}", body.len())
    })
    .await
}

async fn raise(query: Arguments) -> Result<&'static str, StatusCode> {
    let panics = query.get("how").is_some_and(|how| how == "panic");
    blocking(move || {
        assert!(!panics, "the work panics, as asked");
        Err(StatusCode::INTERNAL_SERVER_ERROR)
    })
    .await?
}

async fn streamed(State(counters): State<Counters>, query: Arguments) -> Response {
    let (mut left, size) = (number(&query, "n", 0), number(&query, "chunk", 65536).max(1));
    let pause = Duration::from_millis(number(&query, "ms", 0) as u64);
    let (sender, receiver) = mpsc::channel(4);
    counters.add("opened", 1);
    spawn_blocking(move || {
        while left > 0 {
            let piece = size.min(left);
            left -= piece;
            if sender.blocking_send(Ok(Bytes::from(vec![b'x'; piece]))).is_err() {
                break;
            }
            thread::sleep(pause);
        }
        counters.add("closed", 1);
    });
    body_of(receiver).into_response()
}

/// Sends four bytes of the body, and then fails.
async fn raise_mid(State(counters): State<Counters>, query: Arguments) -> Response {
    let panics = query.get("how").is_some_and(|how| how == "panic");
    let (sender, receiver) = mpsc::channel(4);
    counters.add("opened", 1);
    spawn_blocking(move || {
        let _ = sender.blocking_send(Ok(Bytes::from_static(b"AAAA")));
        assert!(!panics, "the work panics, as asked");
        let _ = sender.blocking_send(Err(io::Error::other("the work fails, as asked")));
        counters.add("closed", 1);
    });
    let body = body_of(receiver);
    if query.get("cl").is_some_and(|declared| declared == "1") {
        return ([(header::CONTENT_LENGTH, "8")], body).into_response();
    }
    body.into_response()
}

fn body_of(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::from_stream(stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    }))
}
