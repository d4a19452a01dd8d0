//! The async handlers that nobody should need a gateway for: the yardstick. `/query` blocks its runtime thread, as
//! short queries do in many a program.
mod work;

use std::io;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser as _;
use futures_util::stream;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| async { work::HELLO }))
        .route("/async", get(|| async { work::HELLO }))
        .route("/body", get(async |RawQuery(query): RawQuery| work::body(query.as_deref())))
        .route("/echo", post(async |body: Bytes| body))
        .route("/stream", get(streamed))
        .route("/headers", get(headers))
        .route("/query", get(async |RawQuery(query): RawQuery| work::row(query.as_deref())))
        .route("/sleep", get(sleep));
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // Without `into_make_service`, every connection would copy the router.
    axum::serve(listener, app.into_make_service()).await
}

async fn streamed() -> Body {
    Body::from_stream(stream::iter((0..work::PIECES).map(|_| io::Result::Ok(work::piece()))))
}

async fn headers(RawQuery(query): RawQuery, headers: HeaderMap) -> String {
    let names = &NAMES[..work::count(query.as_deref())];
    names.iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum::<usize>().to_string()
}

async fn sleep() -> &'static str {
    tokio::time::sleep(work::PAUSE).await;
    work::HELLO
}
