//! The same work in async handlers, without a gateway: the baseline. `/query` blocks its runtime thread, as many
//! programs do for short queries.
mod handlers;
mod work;

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser as _;
use futures_util::stream;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| async { work::HELLO }))
        .route("/async", get(|| async { work::HELLO }))
        .route("/body", get(async |RawQuery(query): RawQuery| work::body(query.as_deref())))
        .route("/echo", post(async |body: Bytes| body))
        .route("/stream", get(streamed))
        .route("/headers", get(async |query, headers: HeaderMap| handlers::read(query, &headers)))
        .route("/query", get(async |RawQuery(query): RawQuery| work::row(query.as_deref())))
        .route("/sleep", get(sleep));
    handlers::serve(address, app).await
}

async fn streamed() -> Body {
    Body::from_stream(stream::iter((0..work::PIECES).map(|_| io::Result::Ok(work::piece()))))
}

async fn sleep() -> &'static str {
    tokio::time::sleep(work::PAUSE).await;
    work::HELLO
}
