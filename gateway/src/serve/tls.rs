//! TLS in front of a listener.
//!
//! Threads: runtime.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio_rustls::server::TlsStream;

use crate::Tls;
use crate::serve::{Connection, Listener, Transport};

/// A listener that speaks TLS on the connections of another.
///
/// Handshakes run in the connections' own tasks, so that a slow handshake delays no other connection, and must end
/// within the [`header_timeout`](crate::serve::Server::header_timeout). Requests have [`Tls`] in their extensions, so
/// that their scheme is `https`, with
///
/// | variable | value |
/// |---|---|
/// | `SSL_PROTOCOL` | `TLSv1.2` or `TLSv1.3` |
/// | `SSL_CIPHER` | the name of the cipher suite in IANA's list |
/// | `SSL_TLS_SNI` | the host name that the client sent, if any |
/// | `SSL_CLIENT_VERIFY` | `SUCCESS` if the client sent a certificate, which the configuration has then accepted; else `NONE` |
///
/// # Example
///
/// ```no_run
/// # async fn run(app: axum::Router, pool: gateway::Pool, config: gateway::serve::rustls::ServerConfig) -> std::io::Result<()> {
/// use gateway::serve::TlsListener;
///
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
/// let listener = TlsListener::new(listener, std::sync::Arc::new(config));
/// gateway::serve(listener, app).pool(&pool).await
/// # }
/// # let _ = run;
/// ```
pub struct TlsListener<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: Listener> TlsListener<L> {
    /// Speaks TLS with this configuration. If it has no ALPN protocols, HTTP/2 and HTTP/1.1 are offered.
    pub fn new(listener: L, mut config: Arc<ServerConfig>) -> Self {
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Self { listener, acceptor: TlsAcceptor::from(config) }
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = TlsStream<CountingIo<L::Io>>;
    type Opening = Pin<Box<dyn Future<Output = io::Result<Connection<Self::Io>>> + Send>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let opening = self.listener.accept().await?;
        let acceptor = self.acceptor.clone();
        Ok(Box::pin(async move {
            let Connection { io, peer, local, .. } = opening.await?;
            let io = acceptor.accept(CountingIo { io: io.register_here()?, taken: 0 }).await?;
            let connection = io.get_ref().1;
            let tls = Some(info(connection));
            // Without ALPN the first bytes decide, as without TLS.
            let is_http2 = connection.alpn_protocol().map(|name| name == b"h2");
            Ok(Connection { io, peer, local, tls, is_http2 })
        }))
    }
}

/// The transport below TLS, which counts the bytes that it has accepted: TLS buffers more.
#[derive(Debug)]
pub struct CountingIo<Io> {
    io: Io,
    taken: u64,
}

impl<Io: AsyncRead + Unpin> AsyncRead for CountingIo<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for CountingIo<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.taken += count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.taken += count as u64;
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<Io: Transport> Transport for TlsStream<CountingIo<Io>> {
    fn reset(&mut self) {
        self.get_mut().0.io.reset();
    }

    fn taken(&self) -> Option<u64> {
        Some(self.get_ref().0.taken)
    }
}

fn info(connection: &ServerConnection) -> Tls {
    let mut tls = Tls::new();
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => tls = tls.with("SSL_PROTOCOL", "TLSv1.2"),
        Some(ProtocolVersion::TLSv1_3) => tls = tls.with("SSL_PROTOCOL", "TLSv1.3"),
        _ => {}
    }
    if let Some(suite) = connection.negotiated_cipher_suite() {
        // rustls names the suites of TLS 1.3 differently.
        let name = suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_");
        tls = tls.with("SSL_CIPHER", name);
    }
    if let Some(host) = connection.server_name() {
        tls = tls.with("SSL_TLS_SNI", host);
    }
    let has_certificate = connection.peer_certificates().is_some_and(|chain| !chain.is_empty());
    tls.with("SSL_CLIENT_VERIFY", if has_certificate { "SUCCESS" } else { "NONE" })
}

partial_debug!(TlsListener<L> where L: Debug, |this| listener: this.listener);
