//! axum and `tokio::task::spawn_blocking`, where every body goes through a channel of four pieces, as it has to once
//! one of them may be large.
mod work;

use std::io;
use std::sync::LazyLock;
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser as _;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| whole(|| work::HELLO)))
        .route("/body", get(|RawQuery(query)| whole(move || work::body(query.as_deref()))))
        .route("/echo", post(|body: Bytes| whole(|| body)))
        .route("/stream", get(|| streamed(|| (0..work::PIECES).map(|_| work::piece()))))
        .route("/headers", get(|query, headers| whole(move || read(query, &headers))))
        .route("/query", get(|RawQuery(query)| whole(move || work::row(query.as_deref()))))
        .route("/sleep", get(|| whole(sleep)));
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service()).await
}

async fn streamed<I: Iterator<Item = Bytes>>(work: impl FnOnce() -> I + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel(4);
    spawn_blocking(move || {
        for piece in work() {
            if sender.blocking_send(io::Result::Ok(piece)).is_err() {
                break;
            }
        }
    });
    Body::from_stream(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
}

/// A body of one piece.
async fn whole<T: Into<Bytes>>(work: impl FnOnce() -> T + Send + 'static) -> Body {
    streamed(|| std::iter::once(work().into())).await
}

fn read(RawQuery(query): RawQuery, headers: &HeaderMap) -> String {
    let names = &NAMES[..work::count(query.as_deref())];
    names.iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum::<usize>().to_string()
}

fn sleep() -> &'static str {
    thread::sleep(work::PAUSE);
    work::HELLO
}
