//! Connections in memory, for servers on a paused clock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use axum::Router;
use gateway::serve::{Connection, Listener, Transport};
use gateway_tests::frames::kind::{HEADERS, SETTINGS};
use gateway_tests::frames::{PREFACE, frame};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// Counters of the server's ends of the connections.
#[derive(Default)]
pub(super) struct Counts {
    /// The number of dropped connections.
    pub(super) dropped: AtomicUsize,
    /// The number of reset connections.
    pub(super) reset: AtomicUsize,
    /// The size of the buffer of the server's last read.
    room: AtomicUsize,
}

/// The server's end of a connection.
pub(super) struct ServerEnd(DuplexStream, Arc<Counts>);

impl AsyncRead for ServerEnd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.1.room.store(buffer.remaining(), SeqCst);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ServerEnd {
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

impl Transport for ServerEnd {
    fn reset(&mut self) {
        self.1.reset.fetch_add(1, SeqCst);
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.1.dropped.fetch_add(1, SeqCst);
    }
}

/// The clients' side, which connects.
pub(super) struct Network {
    sender: mpsc::UnboundedSender<ServerEnd>,
    counts: Arc<Counts>,
}

/// The server's side, which accepts.
pub(super) struct MemoryListener(mpsc::UnboundedReceiver<ServerEnd>);

impl Listener for MemoryListener {
    type Io = ServerEnd;
    type Opening = std::future::Ready<io::Result<Connection<ServerEnd>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.0.recv().await {
            Some(end) => Ok(std::future::ready(Ok(Connection::new(end)))),
            None => std::future::pending().await,
        }
    }
}

impl Network {
    pub(super) fn new() -> (Self, MemoryListener) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, counts: Arc::default() }, MemoryListener(receiver))
    }

    /// A network with a server, which runs until the runtime ends.
    pub(super) fn of(router: Router) -> Self {
        let (network, listener) = Self::new();
        tokio::spawn(gateway::serve(listener, router).into_future());
        network
    }

    /// A connection that holds `buffer` bytes in each direction.
    pub(super) fn connect(&self, buffer: usize) -> DuplexStream {
        let (client, server) = tokio::io::duplex(buffer);
        // Without a listener the connection is dropped, and the test fails.
        let _ = self.sender.send(ServerEnd(server, Arc::clone(&self.counts)));
        client
    }

    pub(super) fn room(&self) -> usize {
        self.counts.room.load(SeqCst)
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.counts.dropped.load(SeqCst), self.counts.reset.load(SeqCst))
    }
}

/// Reads until the end of the connection, orderly or not.
pub(super) async fn read_to_end(client: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    // A reset is treated as an end.
    let _ = client.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends bytes to a server that may have closed the connection.
pub(super) async fn send(client: &mut DuplexStream, text: &str) {
    let _ = client.write_all(text.as_bytes()).await;
}

/// Reads until the text has this suffix.
pub(super) async fn read_until(client: &mut DuplexStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        assert_ne!(client.read_buf(&mut all).await.expect("reads"), 0, "{}", String::from_utf8_lossy(&all));
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The preface, and SETTINGS with this initial window of each stream.
pub(super) fn preface(window: u32) -> Vec<u8> {
    let mut setting = vec![0, 4];
    setting.extend_from_slice(&window.to_be_bytes());
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// A GET of `/` on a stream: the static table of HPACK has all fields but the host.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, 0x5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a'])
}
