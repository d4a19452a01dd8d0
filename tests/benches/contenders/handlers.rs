//! The shared parts of the axum contenders: the server, and handlers.
#![allow(dead_code, reason = "what another contender uses")]

use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::thread;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::serve::ListenerExt as _;

use crate::work;

/// Without `into_make_service`, axum would clone the router for every connection.
pub(crate) async fn serve(address: SocketAddr, app: Router) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service()).await
}

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

pub(crate) fn read(RawQuery(query): RawQuery, headers: &HeaderMap) -> String {
    let names = &NAMES[..work::count(query.as_deref())];
    names.iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum::<usize>().to_string()
}

pub(crate) fn sleep() -> &'static str {
    thread::sleep(work::PAUSE);
    work::HELLO
}
