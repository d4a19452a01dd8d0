//! A connection in memory: the server's end is a transport, the test drives the client's end.
//!
//! Like a socket, it has a shutdown of each direction, a reset, and a receive window that a client may leave full. If a
//! server drops its end while bytes are unread or still arrive, the connection is reset, and the rules check for that.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use gateway::serve::{Connection, Listener, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// How the server dropped its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) at: u64,
    /// The number of bytes from the client that the server had not read.
    pub(crate) unread: usize,
}

/// Both directions of a connection.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbound: VecDeque<u8>,
    client_ended: bool,
    client_reset: bool,
    reader: Option<Waker>,
    /// The bytes that the server has written, and the stamps of the writes: the time, and the number of bytes at that
    /// time.
    pub(crate) received: Vec<u8>,
    pub(crate) stamps: Vec<(u64, usize)>,
    /// The number of bytes that the client has not taken, and the size of its receive window.
    untaken: usize,
    room: usize,
    reads: bool,
    writer: Option<Waker>,
    /// When the server shut down its write side.
    pub(crate) ended: Option<u64>,
    /// The server has requested a reset.
    pub(crate) reset: bool,
    pub(crate) dropped: Option<Dropped>,
    /// When the first byte arrived after the server had dropped its end.
    pub(crate) refused: Option<u64>,
}

/// The clock and the alarm of all connections of one run.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    origin: Instant,
    pub(crate) dropped: Arc<Notify>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), dropped: Arc::new(Notify::new()) }
    }

    /// Milliseconds since the start of the run.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).expect("a run is short")
    }
}

/// The client's end.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    wire: Arc<Mutex<Wire>>,
    clock: Clock,
}

/// The server's end.
#[derive(Debug)]
pub(crate) struct ServerEnd {
    wire: Arc<Mutex<Wire>>,
    clock: Clock,
}

/// Creates both ends of a new connection. `room` is the size of the client's receive window.
pub(crate) fn link(clock: &Clock, room: usize) -> (Client, ServerEnd) {
    let wire = Arc::new(Mutex::new(Wire { room, reads: true, ..Wire::default() }));
    (Client { wire: Arc::clone(&wire), clock: clock.clone() }, ServerEnd { wire, clock: clock.clone() })
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Wire {
    /// When the client could observe the end of the connection.
    pub(crate) fn over(&self) -> Option<u64> {
        match (self.ended, self.dropped) {
            (Some(ended), _) => Some(ended),
            (None, dropped) => dropped.map(|dropped| dropped.at),
        }
    }
}

impl Client {
    pub(crate) fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().expect("no panic")
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut wire = self.wire();
        if wire.client_ended || wire.client_reset {
            return;
        }
        if wire.dropped.is_some() {
            wire.refused.get_or_insert(self.clock.now());
            return;
        }
        wire.inbound.extend(bytes);
        wake(&mut wire.reader);
    }

    /// Shuts down the client's write side; the other direction stays open.
    pub(crate) fn end(&self) {
        let mut wire = self.wire();
        wire.client_ended = true;
        wake(&mut wire.reader);
    }

    pub(crate) fn reset(&self) {
        let mut wire = self.wire();
        wire.client_reset = true;
        wire.inbound.clear();
        wake(&mut wire.reader);
        wake(&mut wire.writer);
    }

    /// Stops reading, until [`read`](Client::read) is called.
    pub(crate) fn stall(&self) {
        self.wire().reads = false;
    }

    pub(crate) fn read(&self) {
        let mut wire = self.wire();
        wire.reads = true;
        wire.untaken = 0;
        wake(&mut wire.writer);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.wire().dropped.is_some()
    }
}

impl ServerEnd {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().expect("no panic")
    }
}

impl AsyncRead for ServerEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.client_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.inbound.is_empty() && !wire.client_ended {
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.remaining().min(wire.inbound.len());
        let (front, back) = wire.inbound.as_slices();
        let first = count.min(front.len());
        buffer.put_slice(&front[..first]);
        buffer.put_slice(&back[..count - first]);
        wire.inbound.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ServerEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        if wire.client_reset {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        assert!(wire.ended.is_none(), "the server writes after it has ended its side");
        let count = if wire.reads { bytes.len() } else { bytes.len().min(wire.room - wire.untaken) };
        if count == 0 && !bytes.is_empty() {
            wire.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        wire.untaken += if wire.reads { 0 } else { count };
        wire.received.extend_from_slice(&bytes[..count]);
        let written = wire.received.len();
        wire.stamps.push((self.clock.now(), written));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.client_reset {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let now = self.clock.now();
        wire.ended.get_or_insert(now);
        Poll::Ready(Ok(()))
    }
}

impl Transport for ServerEnd {
    fn reset(&mut self) {
        self.wire().reset = true;
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        let now = self.clock.now();
        // If the test itself panics, its panic is printed unchanged.
        if let Ok(mut wire) = self.wire.lock() {
            wire.dropped = Some(Dropped { at: now, unread: wire.inbound.len() });
            wake(&mut wire.writer);
        }
        self.clock.dropped.notify_waiters();
    }
}

/// A listener that receives its connections over a channel.
pub(crate) struct Connections(pub(crate) mpsc::UnboundedReceiver<(ServerEnd, SocketAddr)>);

impl Listener for Connections {
    type Io = ServerEnd;
    type Opening = Ready<io::Result<Connection<ServerEnd>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.0.recv().await {
            Some((io, peer)) => Ok(ready(Ok(Connection::new(io).peer(peer)))),
            None => std::future::pending().await,
        }
    }
}
