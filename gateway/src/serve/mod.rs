//! A server with the settings that `axum::serve` lacks. See [`serve`](crate::serve()).
//!
//! Threads: runtime.

// In the order in which a connection uses them.
mod listener;
mod settings;
mod inherited_sockets;
#[cfg(feature = "tls")]
mod tls;
mod accept;
mod connection_set;
mod connection;
mod lifecycle;
mod timeouts;
mod polled_when_woken;
mod connection_io;
mod http2_frames;
mod request_scanner;
mod linger;
mod http2_streams;
mod hyper_service;
mod malformed_head;
mod response;
mod body;
mod stopping;
mod drain;
mod stop_signals;
mod shutdown_report;
#[cfg(all(any(test, gateway_fuzz), not(gateway_loom)))]
mod fuzz_tests;

#[cfg(gateway_fuzz)]
pub(crate) use self::fuzz_tests::check as scanned_stream;
#[cfg(gateway_fuzz)]
pub(crate) use self::lifecycle::fuzz_tests::check as lifecycle_history;

use std::any::Any;
use std::future::Pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::Router;
use axum::body::Body as AxumBody;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::Body;
use tokio::task::unconstrained;
use tokio::time::Instant;
use tower_service::Service;

use self::accept::accept;
use self::connection_set::ConnectionSet;
use self::drain::Grace;
use self::settings::{LONGEST_TIMEOUT, ServerSettings};
use crate::{BoxError, Pool};

pub use self::inherited_sockets::InheritedSockets;
pub use self::listener::{Connection, Listener, Transport};
pub use self::malformed_head::MalformedHead;
pub use self::shutdown_report::ShutdownReport;
pub use self::stop_signals::stop_signals;
pub use self::stopping::Stopping;
#[cfg(feature = "tls")]
pub use self::tls::TlsListener;
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use tokio_rustls::rustls;

/// The most connections that the server takes out of the listener's queue when it stops.
const MOST_WAITING: usize = 1024;

/// Serves `app` on the connections of `listener`. The first bytes of a connection select HTTP/1 or HTTP/2.
///
/// `app` is a router, or any other tower service of axum's requests. Awaiting the [`Server`] runs it until the future
/// given to [`with_graceful_shutdown`](Server::with_graceful_shutdown) is ready, or with
/// [`stop_on_signals`](Server::stop_on_signals) until SIGTERM or Ctrl-C; otherwise for ever.
///
/// The extensions of a request have the peer, as axum's [`ConnectInfo`](axum::extract::ConnectInfo)`<SocketAddr>`; the
/// local address, as [`LocalAddr`](crate::LocalAddr); and with TLS, [`Tls`](crate::Tls). On a Unix socket there is no
/// peer, and no `ConnectInfo`.
///
/// # Example
///
/// ```no_run
/// use axum::Router;
/// use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok(["Hello!\n"])
/// }
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let pool = Pool::builder().threads(64).build()?;
///     let app = Router::new().fallback_service(Gateway::new(hello).pool(&pool));
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
///     gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
/// }
/// ```
///
/// # Beside `axum::serve`
///
/// A gateway works under `axum::serve`, too. `axum::serve` (0.8) has no timeout for heads, so a client may take for
/// ever to send one; its graceful shutdown waits for ever for an incomplete head and for a response that never ends;
/// and it does not provide the local address, so `SERVER_NAME` is what the client sends.
pub fn serve<L, S>(listener: L, app: S) -> Server<L, S> {
    Server {
        listener,
        app,
        signal: std::future::pending(),
        immediate: Box::pin(std::future::pending()),
        pools: Vec::new(),
        settings: ServerSettings::default(),
    }
}

/// A server that runs when it is awaited. Created by [`serve`](crate::serve()).
///
/// Dropping the future cuts all connections.
///
/// # Stopping
///
/// 1. The listener is closed, and the pools [begin to drain](Pool::begin_drain).
/// 2. Idle connections are closed. All others finish their requests: the running ones, the queued ones, and those whose
///    heads are being received.
/// 3. When all requests are finished, or the [`grace`](Server::grace) is over, the pools are [closed](Pool::close), and
///    queued requests are answered with 503.
/// 4. Connections that are still open are cut; their applications observe a disconnect.
/// 5. The threads of the pools get the rest of the grace to end, or up to 800 milliseconds if that is more. A thread
///    that does not end is left behind, and its request is in the [`ShutdownReport`].
///
/// The future given to [`with_immediate_shutdown`](Server::with_immediate_shutdown) ends the grace at once when it is
/// ready.
///
/// The handler of an upgraded connection, such as a WebSocket, or of an HTTP/2 stream that was taken over by an
/// extended CONNECT, is notified by [`Stopping`] and has one second after the last other request of its connection.
/// Then the connection is closed, and does not count as cut.
///
/// # Threads
///
/// Needs a tokio runtime of either flavour with time and I/O enabled, and never blocks it. It accepts the connections.
/// With a [pool](Server::pool), the pool's [drivers](crate::PoolBuilder::drivers) poll them, and so layers and async
/// handlers; the runtime has their timers, sockets and tasks. Without one, the runtime polls them.
#[must_use = "a server does nothing until it is awaited"]
pub struct Server<L, S, F = Pending<()>> {
    listener: L,
    app: S,
    signal: F,
    /// Ends the grace.
    immediate: Pin<Box<dyn Future<Output = ()> + Send>>,
    pools: Vec<Pool>,
    settings: ServerSettings,
}

impl<L, S, F> Server<L, S, F> {
    /// Stops this pool when the server stops, and reports the requests that still run on it. May be called once for
    /// each pool. The [drivers](crate::PoolBuilder::drivers) of the first pool that has any poll the connections.
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// Stops the server when this future is ready, whatever its output, such as `tokio::signal::ctrl_c()` for Ctrl-C
    /// alone.
    ///
    /// If the system allows no signal handler, `ctrl_c` fails at once and the server stops at once.
    ///
    /// [`stop_on_signals`](Server::stop_on_signals) stops on SIGTERM, too, which is what service managers and
    /// containers send.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn run(listener: tokio::net::TcpListener, app: axum::Router, pool: gateway::Pool) -> std::io::Result<()> {
    /// gateway::serve(listener, app).pool(&pool).with_graceful_shutdown(tokio::signal::ctrl_c()).await
    /// # }
    /// # let _ = run;
    /// ```
    pub fn with_graceful_shutdown<G>(self, signal: G) -> Server<L, S, G>
    where
        G: Future + Send + 'static,
    {
        let Self { listener, app, signal: _, immediate, pools, settings } = self;
        Server { listener, app, signal, immediate, pools, settings }
    }

    /// Stops the server without a grace when this future is ready, whatever its output: running requests are cut, and
    /// the server has stopped at most one second later. If the server is draining already, its grace ends.
    pub fn with_immediate_shutdown<G>(mut self, signal: G) -> Self
    where
        G: Future + Send + 'static,
    {
        self.immediate = Box::pin(async move { drop(signal.await) });
        self
    }

    /// Stops the server at the first SIGTERM or Ctrl-C, and ends its grace at the second. Replaces both
    /// [`with_graceful_shutdown`](Server::with_graceful_shutdown) and
    /// [`with_immediate_shutdown`](Server::with_immediate_shutdown).
    ///
    /// The handlers are installed at once, by [`stop_signals`]. Without this call the library installs none, and a
    /// server that is process 1 of a container ignores SIGTERM.
    ///
    /// # Errors
    ///
    /// The system allows no handler.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    pub fn stop_on_signals(self) -> io::Result<Server<L, S, impl Future<Output = ()> + Send + use<L, S, F>>> {
        let (first, second) = stop_signals()?;
        Ok(self.with_graceful_shutdown(first).with_immediate_shutdown(second))
    }
}

impl<L, S, F, B> Server<L, S, F>
where
    L: Listener,
    S: Service<Request<AxumBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    F: Future + Send + 'static,
{
    /// Runs the server until it has stopped, and reports what it left behind.
    ///
    /// # Errors
    ///
    /// Currently none: the server survives failed connections and exhausted resources.
    pub async fn run(self) -> io::Result<ShutdownReport> {
        let config = Arc::new(self.connection_config());
        let Self { mut listener, mut app, signal, mut immediate, pools, settings } = self;
        make_ready(&mut app);
        #[cfg(unix)]
        if std::any::TypeId::of::<L::Io>() == std::any::TypeId::of::<tokio::net::UnixStream>() {
            crate::observe::warning::unix_socket();
        }
        let drivers = pools.iter().find_map(Pool::drivers);
        let mut connections = ConnectionSet::new(drivers);
        let mut signal = pin!(signal);
        let grace = 'serving: loop {
            // Kept across ends of connections: a new future would cut short the pause after an error.
            let mut accepting = pin!(accept(&mut listener));
            let opening = loop {
                tokio::select! {
                    biased;
                    () = immediate.as_mut() => break 'serving Grace::Over,
                    _ = signal.as_mut() => {
                        let deadline = Instant::now() + settings.grace.min(LONGEST_TIMEOUT);
                        break 'serving Grace::Until(deadline, immediate);
                    }
                    // Disabled while there is no connection: none starts before this select has ended.
                    Some(()) = connections.ended() => {}
                    opening = accepting.as_mut(), if connections.len() < settings.max_connections => break opening,
                }
            };
            connections.start(|stage| connection::serve(opening, app.clone(), Arc::clone(&config), stage));
        };
        if let Grace::Until(..) = grace {
            // These clients have connected, and may have sent their requests.
            for _ in 0..MOST_WAITING.min(settings.max_connections.saturating_sub(connections.len())) {
                // Without tokio's budget, after which the listener seems to have no more.
                let Some(opening) = unconstrained(accept(&mut listener)).now_or_never() else { break };
                connections.start(|stage| connection::serve(opening, app.clone(), Arc::clone(&config), stage));
            }
        }
        drop(listener);
        let report = drain::drain(connections, &pools, grace).await;
        Ok(report)
    }
}

/// Converts the handlers of a router to services once. Otherwise the router converts them for every request.
fn make_ready(app: &mut dyn Any) {
    if let Some(router) = app.downcast_mut::<Router>() {
        *router = std::mem::take(router).with_state(());
    }
}

/// Runs the server and logs the [`ShutdownReport`]: as warnings, if anything was left behind.
impl<L, S, F, B> IntoFuture for Server<L, S, F>
where
    L: Listener,
    S: Service<Request<AxumBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    F: Future + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.run().await?.log();
            Ok(())
        })
    }
}

partial_debug!(
    Server<L, S, F> where L: Debug,
    |this| listener: this.listener, pools: this.pools, settings: this.settings
);
