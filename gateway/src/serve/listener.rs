//! What a server listens on.
//!
//! Threads: runtime.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::log;
use crate::{LocalAddr, Tls};

/// What [`serve`](crate::serve()) accepts connections from: a [`TcpListener`], a `UnixListener`, or one of your own
/// around them.
///
/// A connection comes in two steps, so that no client holds up another: `accept` takes it from the system, and the
/// opening, which may take as long as a handshake takes, runs in the connection's own task.
///
/// # Example
///
/// A listener that tells how many connections it has accepted:
///
/// ```
/// use std::io;
///
/// use gateway::serve::Listener;
/// use tokio::net::TcpListener;
///
/// struct Counted {
///     inner: TcpListener,
///     accepted: u64,
/// }
///
/// impl Listener for Counted {
///     type Io = <TcpListener as Listener>::Io;
///     type Opening = <TcpListener as Listener>::Opening;
///
///     async fn accept(&mut self) -> io::Result<Self::Opening> {
///         let opening = Listener::accept(&mut self.inner).await?;
///         self.accepted += 1;
///         println!("connection {}", self.accepted);
///         Ok(opening)
///     }
/// }
/// # let _ = |inner, app: axum::Router| gateway::serve(Counted { inner, accepted: 0 }, app);
/// ```
pub trait Listener: Send + 'static {
    /// The bytes of a connection.
    type Io: Transport;
    /// What is still to be done when a connection was accepted. It is dropped if it takes longer than the
    /// [`header_timeout`](crate::serve::Server::header_timeout).
    type Opening: Future<Output = io::Result<Connection<Self::Io>>> + Send + 'static;

    /// Accepts a connection. Has to be safe to drop at any time, without losing one.
    ///
    /// # Errors
    ///
    /// No error ends a server. Those of one connection (`ConnectionAborted`, `ConnectionReset`, `ConnectionRefused`)
    /// are skipped; after any other, such as the lack of file descriptors, it tries again half a second later.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Opening>> + Send;
}

/// The bytes of a connection.
///
/// A transport of your own around another one has to pass both methods on. Without `reset`, half of a response whose
/// end is that of the connection looks complete; without `taken`, a slow peer behind TLS counts as one that takes
/// nothing.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming close a reset: for a message whose end is the end of its connection, and which is not complete.
    /// The default changes nothing.
    fn reset(&mut self) {}

    /// How many bytes the transport below has taken in all, where that differs from what was written: where bytes wait
    /// in a buffer of this transport, as they do with TLS. It never becomes less. The default is that it does not
    /// differ.
    ///
    /// A connection whose peer takes nothing is closed after the [`write_stall`](crate::serve::Server::write_stall),
    /// and this tells a slow peer from one that takes nothing.
    fn taken(&self) -> Option<u64> {
        None
    }
}

/// A connection that is ready for its first request, and what is known about it.
#[derive(Debug)]
pub struct Connection<Io> {
    pub(super) io: Io,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<LocalAddr>,
    pub(super) tls: Option<Tls>,
    pub(super) is_http2: Option<bool>,
}

impl<Io> Connection<Io> {
    /// A connection about which nothing more is known.
    pub fn new(io: Io) -> Self {
        Self { io, peer: None, local: None, tls: None, is_http2: None }
    }

    /// The address of the peer, which requests get as [`ConnectInfo`](axum::extract::ConnectInfo).
    #[must_use]
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The address that the peer has reached.
    #[must_use]
    pub fn local(mut self, local: LocalAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// The facts of its TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether it speaks HTTP/2, if that was agreed on. Otherwise its first bytes tell.
    #[must_use]
    pub fn http2(mut self, is_http2: bool) -> Self {
        self.is_http2 = Some(is_http2);
        self
    }

    /// The same connection with its bytes in `wrap`.
    pub fn map<Outer>(self, wrap: impl FnOnce(Io) -> Outer) -> Connection<Outer> {
        let Self { io, peer, local, tls, is_http2 } = self;
        Connection { io: wrap(io), peer, local, tls, is_http2 }
    }
}

/// How many bytes wait in the system for room in the window of a peer.
#[cfg(target_os = "linux")]
const MOST_UNSENT: u32 = 128 * 1024;

impl Listener for TcpListener {
    type Io = TcpStream;
    type Opening = Ready<io::Result<Connection<TcpStream>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let (stream, peer) = Self::accept(self).await?;
        // Heads and chunks are written whole; waiting for more of them would only delay.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!(%error, "a connection keeps its delay");
        }
        // Otherwise Linux takes megabytes at once, and says only after a third of them that it takes more: a slow peer
        // would seem to take nothing.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT) {
            log::debug!(%error, "a connection keeps its send buffer");
        }
        // A connection that was reset by now may have lost its address; the first read will tell.
        let local = stream.local_addr().ok().map(LocalAddr::Tcp);
        Ok(ready(Ok(Connection { local, ..Connection::new(stream).peer(peer) })))
    }
}

impl Transport for TcpStream {
    fn reset(&mut self) {
        if let Err(error) = self.set_zero_linger() {
            log::debug!(%error, "a connection cannot be reset");
        }
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;
    type Opening = Ready<io::Result<Connection<tokio::net::UnixStream>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let (stream, _) = Self::accept(self).await?;
        Ok(ready(Ok(Connection::new(stream).local(LocalAddr::Unix))))
    }
}

/// There is no reset between processes of one machine.
#[cfg(unix)]
impl Transport for tokio::net::UnixStream {}
