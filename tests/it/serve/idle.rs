//! Idle connections, and the buffers that they release: P8.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::network::Network;

/// Drops the unread request body after the response.
async fn drops_late(body: Body) -> &'static str {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(body);
    });
    "hello"
}

fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route("/late", post(drops_late))
}

/// A server, and a connection to it.
fn serve() -> (Network, DuplexStream) {
    let network = Network::of(router());
    let client = network.connect(64 * 1024);
    (network, client)
}

async fn answer(client: &mut DuplexStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(client.read_buf(&mut answer).await.expect("reads"), 0);
    }
}

/// hyper's buffers exist only for a busy connection, and the next request is answered correctly.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_idle_connection_releases_its_buffers() {
    let (network, mut client) = serve();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(network.room() <= 1024);
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
            answer(&mut client).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(network.room() >= 8192);
    }
}

/// IN-22: after hyper has discarded a body that no handler has read, the buffers are released.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_whose_unread_body_has_ended_releases_its_buffers() {
    let (network, mut client) = serve();
    for framing in ["Content-Length: 5\r\n\r\nwhole", "Content-Length: 5\r\n\r\nwhole\r\n"] {
        client.write_all(format!("POST /late HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes()).await.expect("writes");
        answer(&mut client).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(network.room() <= 1024, "{framing:?}: {}", network.room());
    }
}

/// A partial head that is only in hyper's buffer is kept, however long the rest of the head takes.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_head_in_two_parts_is_one() {
    let (_network, mut client) = serve();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT").await.expect("writes");
    answer(&mut client).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    client.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
}

#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_without_buffers_is_closed_in_time() {
    let (_network, mut client) = serve();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
    let start = tokio::time::Instant::now();
    assert_eq!(client.read(&mut [0]).await.expect("reads"), 0);
    let waited = start.elapsed();
    assert!((Duration::from_secs(74)..=Duration::from_secs(76)).contains(&waited), "{waited:?}");
}

#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_without_buffers_is_closed_when_the_server_stops() {
    let (network, listener) = Network::new();
    let server = gateway::serve(listener, router());
    let mut client = network.connect(64 * 1024);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let report = tokio::spawn(server.with_graceful_shutdown(stopped).run());
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(network.room() <= 1024);
    let start = tokio::time::Instant::now();
    stop.send(()).expect("the server runs");
    assert_eq!(client.read(&mut [0]).await.expect("reads"), 0);
    drop(client);
    assert!(report.await.expect("runs").expect("stops").is_clean());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
