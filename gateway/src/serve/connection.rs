//! The future of one connection: its protocol, its requests, its end. `lifecycle` has its state.
//!
//! Threads: runtime.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body as AxumBody;
use axum::extract::ConnectInfo;
use http::{Extensions, Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tower_service::Service;

use crate::BoxError;
use crate::connection_context::{Account, ConnectionContext, ServerStage};
use crate::log;
use crate::serve::connection_io::ConnectionIo;
use crate::serve::http2_streams::{self, StreamExecutor};
use crate::serve::hyper_service::{HyperService, request_extensions};
use crate::serve::lifecycle::{Lifecycle, Machine, Timeouts};
use crate::serve::malformed_head::MalformedHeads;
use crate::serve::polled_when_woken::PolledWhenWoken;
use crate::serve::timeouts::{CLOSE_GRACE, ConnectionAction, ConnectionTimeouts, FIRST_BYTES};
use crate::serve::{Connection, Transport};

/// How a server serves its connections.
#[derive(Debug)]
pub(super) struct ConnectionConfig {
    pub(super) http1: http1::Builder,
    /// The most concurrent streams; `None` without HTTP/2.
    pub(super) http2: Option<u32>,
    pub(super) half_close: bool,
    pub(super) timeouts: Timeouts,
    /// How long to read and discard after the server has shut down its sending side.
    pub(super) linger: Duration,
    /// Accounts for responses that clients have not received yet.
    pub(super) memory: Arc<Account>,
    pub(super) malformed_heads: MalformedHeads,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ending {
    /// By itself, by a timeout, or by a panic.
    #[default]
    Closed,
    /// The server cut it at its shutdown.
    Cut,
}

/// Serves one connection from its handshake to its close.
///
/// hyper keeps two buffers for an HTTP/1 connection, 24 KiB in total, until the hyper connection is dropped. So that an
/// idle connection is small, its hyper connection is created at the first byte, dropped once the connection is idle,
/// and boxed.
pub(super) async fn serve<Io, S, B>(
    opening: impl Future<Output = std::io::Result<Connection<Io>>>,
    app: S,
    config: Arc<ConnectionConfig>,
    mut stage: watch::Receiver<ServerStage>,
) -> Ending
where
    Io: Transport,
    S: Service<Request<AxumBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let lifecycle = Arc::new(Lifecycle::new(config.half_close));
    let opened = tokio::select! {
        // `biased`: a request that has arrived wins over the shutdown.
        biased;
        opened = open(opening, &lifecycle, &config) => opened,
        () = stopped_before_request(&mut stage) => return Ending::Closed,
    };
    let (mut stream, is_http2, mut extensions) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            log::debug!(%error, "a connection did not open");
            return Ending::Closed;
        }
    };
    let context = ConnectionContext::new(&config.memory, stage.clone());
    // Dropped with this future, however the connection ends.
    let _guard = context.guard();
    extensions.insert(context);
    let peer = extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| *peer);
    let service = HyperService::new(app, extensions, Arc::clone(&lifecycle));
    if let Some(max_concurrent_streams) = config.http2.filter(|_| is_http2) {
        let executor = StreamExecutor::new(Arc::clone(&lifecycle), config.timeouts.write_stall);
        let service = service.with_streams(executor.clone());
        let builder = http2_streams::builder(max_concurrent_streams, executor);
        let mut connection = Box::pin(builder.serve_connection(TokioIo::new(stream), service));
        let finish = |connection: Pin<&mut http2::Connection<_, _, _>>| connection.graceful_shutdown();
        let driven = Box::pin(drive(connection.as_mut(), finish, peer, &lifecycle, &config, &mut stage)).await;
        return driven.unwrap_or(Ending::Closed);
    }
    loop {
        let connection = config.http1.serve_connection(TokioIo::new(stream), service.clone()).with_upgrades();
        let mut connection = Box::pin(connection);
        let finish = |connection: Pin<&mut http1::UpgradeableConnection<_, _>>| connection.graceful_shutdown();
        let driven = Box::pin(drive(connection.as_mut(), finish, peer, &lifecycle, &config, &mut stage)).await;
        if let Some(ending) = driven {
            drop(connection);
            // hyper has ended, but a handler may own the upgraded stream. Without an upgrade the stream was dropped
            // with the connection above, so `upgrade` finds it `Ended`.
            let is_over = ending == Ending::Cut || !lifecycle.with(Machine::upgrade);
            return if is_over { ending } else { upgraded(&lifecycle, &config, &mut stage).await };
        }
        // hyper has nothing to write, and every byte it has read and not parsed is in its buffer.
        let Some(parts) = Pin::into_inner(connection).into_parts() else { return Ending::Closed };
        stream = parts.io.into_inner();
        if stream.unread(&parts.read_buf).is_err() || !idle(&mut stream, &lifecycle, &config, &mut stage).await {
            return Ending::Closed;
        }
    }
}

/// Waits until the server stops, and then for the first bytes of a request that the client may have sent: a socket
/// whose registration is new does not say at once what has arrived.
async fn stopped_before_request(stage: &mut watch::Receiver<ServerStage>) {
    // An error means that the server is gone.
    let _ = stage.wait_for(|stage| *stage != ServerStage::Serving).await;
    let _ = timeout(FIRST_BYTES, stage.wait_for(|stage| *stage == ServerStage::Cut)).await;
}

/// Completes the handshake, detects the protocol, and waits for the first request.
async fn open<Io: Transport>(
    opening: impl Future<Output = std::io::Result<Connection<Io>>>,
    lifecycle: &Arc<Lifecycle>,
    config: &ConnectionConfig,
) -> std::io::Result<(ConnectionIo<Io>, bool, Extensions)> {
    let header_timeout = config.timeouts.header_timeout;
    let Connection { io, peer, local, tls, is_http2 } = timeout(header_timeout, opening).await??;
    let mut stream = ConnectionIo::new(io.register_here()?, Arc::clone(lifecycle), config.linger);
    // The header timeout of the first request starts here on either protocol: the bytes read for the detection are a
    // part of it.
    lifecycle.with(Machine::open);
    timeout(header_timeout, async {
        let is_http2 = match is_http2 {
            Some(known) => known,
            None => config.http2.is_some() && stream.speaks_http2().await?,
        };
        if is_http2 {
            lifecycle.with(Machine::set_http2);
            stream.set_http2();
        } else {
            stream.await_request().await?;
        }
        Ok((stream, is_http2, request_extensions(peer, local, tls)))
    })
    .await?
}

/// Waits for the next request on a connection whose buffers were released. Returns whether there is one; if not, the
/// connection has ended.
async fn idle<Io: Transport>(
    stream: &mut ConnectionIo<Io>,
    lifecycle: &Lifecycle,
    config: &ConnectionConfig,
    stage: &mut watch::Receiver<ServerStage>,
) -> bool {
    // No timeout runs if hyper's buffer had a part of a head: then the first branch is ready at once.
    let deadline = lifecycle.with(|machine| machine.deadline(&config.timeouts)).map_or_else(Instant::now, |(at, _)| at);
    tokio::select! {
        // `biased`: a request that has arrived wins over the shutdown.
        biased;
        begun = stream.await_request() => match begun {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => {
                log::debug!(%error, "a connection failed");
                return false;
            }
        },
        _ = stage.wait_for(|stage| *stage != ServerStage::Serving) => {}
        () = sleep_until(deadline) => log::debug!("a connection has waited too long for a request"),
    }
    // The connection is dropped even if the shutdown fails.
    let _ = timeout(CLOSE_GRACE, stream.shutdown()).await;
    false
}

/// Runs a connection to its end, and watches its timeouts and the stage of the server. `finish` makes hyper accept no
/// more requests. Returns `None` when the connection is idle and its buffers are to be released.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    peer: Option<SocketAddr>,
    lifecycle: &Lifecycle,
    config: &ConnectionConfig,
    stage: &mut watch::Receiver<ServerStage>,
) -> Option<Ending>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut timeouts = ConnectionTimeouts::new(lifecycle, config, stage);
    let (mut is_draining, mut is_closing) = (false, false);
    loop {
        let mut due = pin!(PolledWhenWoken::new(timeouts.action()));
        let action = std::future::poll_fn(|cx| {
            // Before hyper parses another request.
            if !is_closing && lifecycle.has_to_close() {
                is_closing = true;
                return Poll::Ready(ConnectionAction::Close);
            }
            // The connection first: bytes that have arrived win over a timeout.
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    match error.is_parse() {
                        true => config.malformed_heads.refused(&error, peer),
                        false => log::debug!(%error, "a connection failed"),
                    }
                }
                return Poll::Ready(ConnectionAction::End(Ending::Closed));
            }
            // `finish` would make hyper drop a partly received head: first receive the rest.
            if is_draining && !lifecycle.with(|machine| machine.is_in_head()) {
                is_draining = false;
                return Poll::Ready(ConnectionAction::Close);
            }
            due.as_mut().poll(cx)
        })
        .await;
        match action {
            ConnectionAction::Drain => {
                lifecycle.with(|machine| machine.is_last = true);
                is_draining = true;
            }
            ConnectionAction::Close => finish(connection.as_mut()),
            ConnectionAction::End(ending) => return Some(ending),
            ConnectionAction::ReleaseBuffers => return None,
        }
    }
}

/// Waits until a handler drops its upgraded stream. The write stall and the shutdown of the server still end the
/// connection.
async fn upgraded(
    lifecycle: &Lifecycle,
    config: &ConnectionConfig,
    stage: &mut watch::Receiver<ServerStage>,
) -> Ending {
    let mut timeouts = ConnectionTimeouts::new(lifecycle, config, stage);
    loop {
        let action = tokio::select! {
            // `biased`: a stream that the handler has dropped is not cut.
            biased;
            () = lifecycle.ended() => return Ending::Closed,
            action = timeouts.action() => action,
        };
        if let ConnectionAction::End(_) = action {
            lifecycle.cut();
            return Ending::Closed;
        }
    }
}
