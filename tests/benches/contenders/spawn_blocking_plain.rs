//! axum and `tokio::task::spawn_blocking` on a runtime with its default of 512 blocking threads: each handler returns
//! its whole body.
mod handlers;
mod work;

use std::io;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser as _;
use tokio::task::spawn_blocking;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| blocking(|| work::HELLO)))
        .route("/body", get(|RawQuery(query)| blocking(move || work::body(query.as_deref()))))
        .route("/echo", post(|body: Bytes| blocking(|| body)))
        .route("/stream", get(|| blocking(|| (0..work::PIECES).flat_map(|_| work::piece()).collect::<Vec<u8>>())))
        .route("/headers", get(|query, headers| blocking(move || handlers::read(query, &headers))))
        .route("/query", get(|RawQuery(query)| blocking(move || work::row(query.as_deref()))))
        .route("/sleep", get(|| blocking(handlers::sleep)));
    handlers::serve(address, app).await
}

/// Runs blocking work; a panic of the work becomes a response of status 500.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StatusCode> {
    spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
