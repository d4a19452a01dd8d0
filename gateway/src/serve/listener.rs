//! Listeners, and the connections that they accept.
//!
//! Threads: runtime.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::log;
use crate::pool::drivers::local;
use crate::{LocalAddr, Tls};

/// A source of connections for [`serve`](crate::serve()): a [`TcpListener`], a `UnixListener`, or your own wrapper.
///
/// A connection is opened in two steps, so that no client delays another: `accept` takes it from the system; the
/// opening, such as a TLS handshake, runs in the connection's own task.
///
/// # Example
///
/// A listener that counts its connections:
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
    /// The opening of an accepted connection. It is dropped if it takes longer than the
    /// [`header_timeout`](crate::serve::Server::header_timeout).
    type Opening: Future<Output = io::Result<Connection<Self::Io>>> + Send + 'static;

    /// Accepts a connection. Must be cancel safe: dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// No error ends a server. Errors of one connection (`ConnectionAborted`, `ConnectionReset`, `ConnectionRefused`)
    /// are skipped; after any other, such as a lack of file descriptors, the server tries again half a second later.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Opening>> + Send;
}

/// The bytes of a connection.
///
/// A wrapper around another transport must forward all methods. Without `reset`, an incomplete close-delimited
/// response looks complete; without `taken`, a slow peer behind TLS counts as one that reads nothing.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming close a reset, for an incomplete close-delimited message. The default does nothing.
    fn reset(&mut self) {}

    /// Moves the registration of the socket to the reactor that drives the current thread, if there is one. Called
    /// once, on the thread that polls the connection first. A wrapper forwards it. The default does nothing: then the
    /// events come from the runtime on which the connection was accepted, which is slower.
    ///
    /// # Errors
    ///
    /// The system's, which end the connection.
    fn register_here(self) -> io::Result<Self>
    where
        Self: Sized,
    {
        Ok(self)
    }

    /// The total number of bytes that the transport below has accepted, if this transport buffers its output, as TLS
    /// does. Must never decrease. Default: `None`, for a transport without a buffer.
    ///
    /// A connection whose peer reads nothing is closed after the [`write_stall`](crate::serve::Server::write_stall);
    /// this total distinguishes a slow peer.
    fn taken(&self) -> Option<u64> {
        None
    }
}

/// A connection that is ready for its first request, with its facts.
#[derive(Debug)]
#[must_use]
pub struct Connection<Io> {
    pub(super) io: Io,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<LocalAddr>,
    pub(super) tls: Option<Tls>,
    pub(super) is_http2: Option<bool>,
}

impl<Io> Connection<Io> {
    /// A connection without any facts.
    pub fn new(io: Io) -> Self {
        Self { io, peer: None, local: None, tls: None, is_http2: None }
    }
}

setters! {
    impl Connection<Io>;

    /// The address of the peer, which requests get as [`ConnectInfo`](axum::extract::ConnectInfo).
    pub fn peer(mut self, peer: SocketAddr) { self.peer = Some(peer) }

    /// The local address that the peer has connected to.
    pub fn local(mut self, local: LocalAddr) { self.local = Some(local) }

    /// The facts of its TLS.
    pub fn tls(mut self, tls: Tls) { self.tls = Some(tls) }

    /// Whether it speaks HTTP/2, if that was negotiated. Otherwise its first bytes decide.
    pub fn http2(mut self, is_http2: bool) { self.is_http2 = Some(is_http2) }
}

impl<Io> Connection<Io> {
    /// The same connection with its transport wrapped.
    pub fn map<Outer>(self, wrap: impl FnOnce(Io) -> Outer) -> Connection<Outer> {
        let Self { io, peer, local, tls, is_http2 } = self;
        Connection { io: wrap(io), peer, local, tls, is_http2 }
    }
}

/// How many unsent bytes the system buffers while the peer's window is full.
#[cfg(target_os = "linux")]
const MOST_UNSENT: u32 = 128 * 1024;

impl Listener for TcpListener {
    type Io = TcpStream;
    type Opening = Ready<io::Result<Connection<TcpStream>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let (stream, peer) = Self::accept(self).await?;
        // Heads and chunks are written whole: Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!(%error, "TCP_NODELAY cannot be set");
        }
        // Otherwise Linux buffers megabytes, and becomes writable only after a third of them is free: a slow peer would
        // seem to read nothing.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT) {
            log::debug!(%error, "TCP_NOTSENT_LOWAT cannot be set");
        }
        // A connection that was reset already may have no address; its first read will fail.
        let local = stream.local_addr().ok().map(LocalAddr::Tcp);
        Ok(ready(Ok(Connection { local, ..Connection::new(stream).peer(peer) })))
    }
}

impl Transport for TcpStream {
    fn register_here(self) -> io::Result<Self> {
        let Some(reactor) = local::reactor() else { return Ok(self) };
        let stream = self.into_std()?;
        let _entered = reactor.enter();
        Self::from_std(stream)
    }

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

/// Unix sockets have no reset.
#[cfg(unix)]
impl Transport for tokio::net::UnixStream {
    fn register_here(self) -> io::Result<Self> {
        let Some(reactor) = local::reactor() else { return Ok(self) };
        let stream = self.into_std()?;
        let _entered = reactor.enter();
        Self::from_std(stream)
    }
}
