//! The segments of a connection.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway::LocalAddr;
use gateway::serve::{Connection, Listener, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The size of the segments that travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// As they come.
    Whole,
    /// One byte each, in both directions, for the first [`BYTEWISE`] bytes of each.
    Bytes,
}

/// The ends of heads, of chunks and of small messages are within this. Bulk data follows.
pub const BYTEWISE: usize = 8 * 1024;

impl Segments {
    /// Every size.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Bytes];

    /// What `GATEWAY_TEST_SEGMENTS=bytes` asks for; whole ones otherwise.
    pub fn wanted() -> Self {
        match std::env::var("GATEWAY_TEST_SEGMENTS").as_deref() {
            Ok("bytes") => Self::Bytes,
            Ok(other) => panic!("GATEWAY_TEST_SEGMENTS is {other:?}; it can be \"bytes\""),
            Err(_) => Self::Whole,
        }
    }

    /// How many bytes of a new connection travel alone.
    pub(crate) fn budget(self) -> usize {
        match self {
            Self::Whole => 0,
            Self::Bytes => BYTEWISE,
        }
    }
}

/// A listener whose connections read and write in segments of this size.
pub(crate) struct Segmented {
    pub(crate) listener: TcpListener,
    pub(crate) segments: Segments,
}

/// One of its connections.
pub(crate) struct Stream {
    inner: TcpStream,
    /// How many bytes are still to be read, and written, alone.
    alone: [usize; 2],
    lingers: bool,
}

impl Listener for Segmented {
    type Io = Stream;
    type Opening = Ready<io::Result<Connection<Stream>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let (inner, peer) = self.listener.accept().await?;
        inner.set_nodelay(true)?;
        let local = LocalAddr::Tcp(inner.local_addr()?);
        let alone = [self.segments.budget(); 2];
        let stream = Stream { inner, alone, lingers: self.segments == Segments::Bytes };
        Ok(ready(Ok(Connection::new(stream).peer(peer).local(local))))
    }
}

impl Transport for Stream {
    fn reset(&mut self) {
        Transport::reset(&mut self.inner);
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.alone[0] == 0 {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut one))?;
        self.alone[0] -= one.filled().len();
        buffer.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.alone[1] == 0 || bytes.is_empty() {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[..1]))?;
        self.alone[1] -= written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// In 1-byte segments a system sends little before it waits for the other side, so that a reset, which follows when
    /// a connection is closed with unread bytes, would cost most replies. So the closing lingers until the client has
    /// closed.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        while self.lingers {
            let mut bytes = [0; 1024];
            let mut rest = ReadBuf::new(&mut bytes);
            let read = std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut rest));
            self.lingers = read.is_ok() && !rest.filled().is_empty();
        }
        Poll::Ready(Ok(()))
    }
}
