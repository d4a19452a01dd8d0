//! axum and `tokio::task::spawn_blocking` on the runtime as it comes, with 512 blocking threads: each handler returns
//! its whole body.
mod work;

use std::io;
use std::sync::LazyLock;
use std::thread;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser as _;
use tokio::task::spawn_blocking;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = Router::new()
        .route("/hello", get(|| blocking(|| work::HELLO)))
        .route("/body", get(|RawQuery(query)| blocking(move || work::body(query.as_deref()))))
        .route("/echo", post(|body: Bytes| blocking(|| body)))
        .route("/stream", get(|| blocking(|| (0..work::PIECES).flat_map(|_| work::piece()).collect::<Vec<u8>>())))
        .route("/headers", get(|query, headers| blocking(move || read(query, &headers))))
        .route("/query", get(|RawQuery(query)| blocking(move || work::row(query.as_deref()))))
        .route("/sleep", get(|| blocking(sleep)));
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service()).await
}

/// Work that fails by panic is a 500.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StatusCode> {
    spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn read(RawQuery(query): RawQuery, headers: &HeaderMap) -> String {
    let names = &NAMES[..work::count(query.as_deref())];
    names.iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum::<usize>().to_string()
}

fn sleep() -> &'static str {
    thread::sleep(work::PAUSE);
    work::HELLO
}
