//! axum and `tokio::task::block_in_place`: the runtime thread of the request blocks, and another thread takes over its
//! tasks.
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
use tokio::task::block_in_place;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(async || block_in_place(|| work::HELLO)))
        .route("/body", get(async |RawQuery(query)| block_in_place(|| work::body(query.as_deref()))))
        .route("/echo", post(async |body: Bytes| block_in_place(|| body)))
        .route("/stream", get(streamed))
        .route("/headers", get(async |query, headers| block_in_place(|| handlers::read(query, &headers))))
        .route("/query", get(async |RawQuery(query)| block_in_place(|| work::row(query.as_deref()))))
        .route("/sleep", get(async || block_in_place(handlers::sleep)));
    handlers::serve(address, app).await
}

async fn streamed() -> Body {
    let pieces = (0..work::PIECES).map(|_| io::Result::Ok(block_in_place(work::piece)));
    Body::from_stream(stream::iter(pieces))
}
