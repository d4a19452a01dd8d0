//! The size of the segments of a connection.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway::LocalAddr;
use gateway::serve::{Connection, Listener, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The size of the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Segments of any size, as the network delivers them.
    Whole,
    /// Segments of one byte, for the first [`BYTEWISE`] bytes of each direction.
    Bytes,
}

/// The number of bytes that are sent one by one. The ends of heads, of chunks and of small messages are among them;
/// bulk data follows.
pub const BYTEWISE: usize = 8 * 1024;

impl Segments {
    /// Every size.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Bytes];

    /// The segments that `GATEWAY_TEST_SEGMENTS=bytes` selects; the default is whole segments.
    pub fn wanted() -> Self {
        match std::env::var("GATEWAY_TEST_SEGMENTS").as_deref() {
            Ok("bytes") => Self::Bytes,
            Ok(other) => panic!("GATEWAY_TEST_SEGMENTS is {other:?}; it can be \"bytes\""),
            Err(_) => Self::Whole,
        }
    }

    /// The number of bytes of a new connection that are sent one by one.
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

/// A connection of [`Segmented`].
pub(crate) struct Stream {
    inner: TcpStream,
    /// The remaining number of bytes to read, and to write, one by one.
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
    fn register_here(self) -> io::Result<Self> {
        Ok(Self { inner: self.inner.register_here()?, ..self })
    }

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

    /// With 1-byte segments a system sends little before it waits for the other side. A connection that is closed with
    /// unread bytes is reset, and the reset would discard most replies. Therefore the shutdown waits until the client
    /// has closed the connection.
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
