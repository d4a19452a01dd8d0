//! The gateway's server on one connection in memory.
//!
//! Threads: one; the clock is paused.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use gateway::serve::{Connection, Listener, Transport};
use gateway::{Gateway, LocalAddr};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

/// The service under test.
pub(crate) type App = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A gateway as the service.
pub(crate) fn serving(gateway: Gateway) -> App {
    let typed = gateway.map_request(|request: Request<Body>| request);
    BoxCloneSyncService::new(typed.map_response(|response| response.map(Body::new)))
}

/// What a client got.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    /// The connection ended with a reset.
    pub(crate) is_reset: bool,
}

/// The server's end: it reads `input` in pieces, then an end.
struct Wire {
    input: Vec<u8>,
    at: usize,
    pieces: Pieces,
    received: Arc<Mutex<Received>>,
    dropped: Arc<Notify>,
}

/// How the network cuts the input: the lengths of the pieces, in turn.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    lengths: Vec<usize>,
    next: usize,
}

impl Pieces {
    /// The input in one piece.
    pub(crate) fn whole() -> Self {
        Self::of(vec![usize::MAX])
    }

    /// Pieces of these lengths, over and over.
    pub(crate) fn of(lengths: Vec<usize>) -> Self {
        Self { lengths, next: 0 }
    }

    pub(crate) fn take(&mut self) -> usize {
        let length = self.lengths.get(self.next).copied().unwrap_or(usize::MAX).max(1);
        self.next = (self.next + 1) % self.lengths.len().max(1);
        length
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = self.pieces.take().min(buffer.remaining());
        let end = self.input.len().min(self.at.saturating_add(most));
        buffer.put_slice(&self.input[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Wire {
    fn reset(&mut self) {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).is_reset = true;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.dropped.notify_one();
    }
}

/// Gives one connection, then none.
struct Once(Option<Wire>);

impl Listener for Once {
    type Io = Wire;
    type Opening = Ready<io::Result<Connection<Wire>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.0.take() {
            Some(wire) => {
                let connection = Connection::new(wire).peer(SocketAddr::from(([192, 0, 2, 1], 4711)));
                Ok(ready(Ok(connection.local(LocalAddr::Tcp(SocketAddr::from(([192, 0, 2, 2], 80)))))))
            }
            None => std::future::pending().await,
        }
    }
}

/// The longest life of a connection, in virtual time.
const LONGEST: Duration = Duration::from_secs(600);

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime"),
    );
}

/// Sends `input` on one connection, ends the sending side, and returns all that came back.
pub(crate) fn exchange(app: &App, input: &[u8], pieces: Pieces) -> Received {
    let (received, dropped) = (Arc::<Mutex<Received>>::default(), Arc::new(Notify::new()));
    let wire =
        Wire { input: input.to_vec(), at: 0, pieces, received: Arc::clone(&received), dropped: Arc::clone(&dropped) };
    // The client ends its side at once, and still wants its answers. HTTP/2 has targets of its own.
    let server = gateway::serve(Once(Some(wire)), app.clone()).half_close(true).http2(false);
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let server = tokio::spawn(async move { server.with_graceful_shutdown(stopped).await });
            tokio::time::timeout(LONGEST, dropped.notified()).await.expect("the connection ends");
            let _ = stop.send(());
            let report = tokio::time::timeout(LONGEST, server).await.expect("the server ends");
            report.expect("the server does not panic").expect("the server does not fail");
        });
    });
    let received = received.lock().unwrap_or_else(PoisonError::into_inner);
    received.clone()
}
