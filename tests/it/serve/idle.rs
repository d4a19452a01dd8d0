//! Idle connections, and the buffers that they release: P8.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use gateway::serve::{Connection, Listener, Transport};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};

/// One side of a connection in memory, which stores how much room it was last asked to fill.
struct Watched(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.1.store(buffer.remaining(), SeqCst);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Transport for Watched {}

/// A listener that has one connection.
struct Once(Option<Watched>);

impl Listener for Once {
    type Io = Watched;
    type Opening = std::future::Ready<io::Result<Connection<Watched>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.0.take() {
            Some(stream) => Ok(std::future::ready(Ok(Connection::new(stream)))),
            None => std::future::pending().await,
        }
    }
}

/// Drops the request body unread, after the response.
async fn drops_late(body: Body) -> &'static str {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(body);
    });
    "hello"
}

/// A server with one connection, the client's end of it, and how much room the server's end was last asked to fill.
fn server(keep_alive: u64) -> (gateway::serve::Server<Once, Router>, DuplexStream, Arc<AtomicUsize>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let room = Arc::new(AtomicUsize::new(0));
    let listener = Once(Some(Watched(server, Arc::clone(&room))));
    let app = Router::new().route("/", get(|| async { "hello" })).route("/late", post(drops_late));
    (gateway::serve(listener, app).keep_alive(Duration::from_secs(keep_alive)), client, room)
}

/// The same, and it runs.
fn serve(keep_alive: u64) -> (DuplexStream, Arc<AtomicUsize>) {
    let (server, client, room) = server(keep_alive);
    tokio::spawn(server.into_future());
    (client, room)
}

async fn answer(client: &mut DuplexStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(client.read_buf(&mut answer).await.expect("reads"), 0);
    }
}

/// hyper's buffers are there only for a connection that is busy, and the next request is answered all the same.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_idle_connection_releases_its_buffers() {
    let (mut client, room) = serve(75);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(room.load(SeqCst) <= 1024);
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
            answer(&mut client).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(room.load(SeqCst) >= 8192);
    }
}

/// IN-22: a body that no handler has read is no reason to keep buffers, once hyper has discarded it to its end.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_whose_unread_body_has_ended_releases_its_buffers() {
    let (mut client, room) = serve(75);
    for framing in ["Content-Length: 5\r\n\r\nwhole", "Content-Length: 5\r\n\r\nwhole\r\n"] {
        client.write_all(format!("POST /late HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes()).await.expect("writes");
        answer(&mut client).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(room.load(SeqCst) <= 1024, "{framing:?}: {}", room.load(SeqCst));
    }
}

/// Part of a head, in the buffer of hyper alone, is not lost however long the rest of it takes.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_head_in_two_parts_is_one() {
    let (mut client, _) = serve(75);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT").await.expect("writes");
    answer(&mut client).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    client.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
}

/// A connection without buffers is idle for no longer than another.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_without_buffers_is_closed_in_time() {
    let (mut client, _) = serve(75);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
    let start = tokio::time::Instant::now();
    assert_eq!(client.read(&mut [0]).await.expect("reads"), 0);
    let waited = start.elapsed();
    assert!((Duration::from_secs(74)..=Duration::from_secs(76)).contains(&waited), "{waited:?}");
}

/// A connection without buffers is closed when the server stops, and holds nothing up.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_connection_without_buffers_is_closed_when_the_server_stops() {
    let (server, mut client, room) = server(75);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let report = tokio::spawn(server.with_graceful_shutdown(stopped).run());
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("writes");
    answer(&mut client).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(room.load(SeqCst) <= 1024);
    let start = tokio::time::Instant::now();
    stop.send(()).expect("the server runs");
    assert_eq!(client.read(&mut [0]).await.expect("reads"), 0);
    drop(client);
    assert!(report.await.expect("runs").expect("stops").is_clean());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
