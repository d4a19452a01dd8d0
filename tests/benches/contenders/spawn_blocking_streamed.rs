//! axum and `tokio::task::spawn_blocking`, with every body sent through a channel of four pieces, as is necessary if
//! some bodies may be large.
mod handlers;
mod work;

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser as _;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| whole(|| work::HELLO)))
        .route("/body", get(|RawQuery(query)| whole(move || work::body(query.as_deref()))))
        .route("/echo", post(|body: Bytes| whole(|| body)))
        .route("/stream", get(|| streamed(|| (0..work::PIECES).map(|_| work::piece()))))
        .route("/headers", get(|query, headers| whole(move || handlers::read(query, &headers))))
        .route("/query", get(|RawQuery(query)| whole(move || work::row(query.as_deref()))))
        .route("/sleep", get(|| whole(handlers::sleep)));
    handlers::serve(address, app).await
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
