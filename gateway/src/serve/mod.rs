//! The server: what `axum::serve` has no settings for. See [`serve`](crate::serve()).

// In the order in which a connection meets them.
mod listener;
mod inherited;
#[cfg(feature = "tls")]
mod tls;
mod accept;
mod connections;
mod connection;
mod lifecycle;
mod timeouts;
mod polled_when_woken;
mod stream;
mod frames;
mod linger;
mod streams;
mod handler;
mod answer;
mod body;
mod stopping;
mod drain;
mod signals;
mod report;

use std::any::Any;
use std::fmt;
use std::future::Pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use tokio::time::Instant;
use tower_service::Service;

use self::accept::accept;
use self::connection::Protocol;
use self::connections::Connections;
use self::drain::Grace;
use self::lifecycle::Limits;
use self::streams::Http2;
use crate::connection_context::Account;
use crate::{BoxError, Pool};

pub use self::inherited::Inherited;
pub use self::listener::{Listener, Opened, Transport};
pub use self::report::Report;
pub use self::signals::stop_signals;
pub use self::stopping::Stopping;
#[cfg(feature = "tls")]
pub use self::tls::TlsListener;
#[cfg(feature = "tls")]
#[doc(no_inline)]
pub use tokio_rustls::rustls;

/// Serves `app` on the connections of `listener`: HTTP/1 and HTTP/2, each connection as it begins.
///
/// `app` is a router, or any other tower service of axum's requests. Awaiting the [`Server`] runs it, for ever, or
/// until what was given to [`with_graceful_shutdown`](Server::with_graceful_shutdown) happens; with
/// [`stop_on_signals`](Server::stop_on_signals), until SIGTERM or Ctrl-C.
///
/// Requests know where they came from: the peer, as axum's [`ConnectInfo`](axum::extract::ConnectInfo)`<SocketAddr>`; the address they
/// came in at, as [`LocalAddr`](crate::LocalAddr); and [`Tls`](crate::Tls), if there was any. On a Unix socket there is no peer, and none is made up.
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
/// A gateway works under `axum::serve`, too. That (0.8) has no time limit for heads, so that a client may send one for ever; its
/// graceful shutdown waits for ever for a head that is half sent, and for a response that never ends; and it does not tell the address
/// that a request came in at, so that `SERVER_NAME` is what the client says.
pub fn serve<L, S>(listener: L, app: S) -> Server<L, S> {
    Server {
        listener,
        app,
        signal: std::future::pending(),
        urgent: Box::pin(std::future::pending()),
        pools: Vec::new(),
        settings: Settings::default(),
    }
}

/// A server that does not run yet. Created by [`serve`](crate::serve()); runs when it is awaited.
///
/// Dropping the future cuts all connections.
///
/// # Stopping
///
/// 1. The listener is closed, and the pools are told, so that they can say that they are [about to close](Pool::begin_drain).
/// 2. Idle connections are closed. All others finish the requests they have: those that run, those that wait for a thread, those whose heads
///    are on their way.
/// 3. When all is done, or the [`grace`](Server::grace) is over, the pools are [closed](Pool::close), and what has not begun is
///    answered with 503.
/// 4. What is still open is cut, which tells its application that the client has gone.
/// 5. The threads of the pools get the rest of the grace, or most of a second if that is more, to end. A thread that does not is left
///    behind, and is in the [`Report`].
///
/// What was given to [`with_immediate_shutdown`](Server::with_immediate_shutdown) ends the grace at once, whenever it
/// is ready.
///
/// A connection that a handler has upgraded, as for a WebSocket, or a stream of HTTP/2 that it has taken over by an extended CONNECT, is told by
/// [`Stopping`], and has a second after the last other request of its connection. Then it is closed, and does not count as cut.
///
/// # Threads
///
/// For a tokio runtime of either flavour, with its timers and its input and output enabled. Nothing here blocks it.
#[must_use = "a server does nothing until it is awaited"]
pub struct Server<L, S, F = Pending<()>> {
    listener: L,
    app: S,
    signal: F,
    /// Ends the grace.
    urgent: Pin<Box<dyn Future<Output = ()> + Send>>,
    pools: Vec<Pool>,
    settings: Settings,
}

#[derive(Debug, Clone)]
struct Settings {
    header_timeout: Duration,
    keep_alive: Duration,
    grace: Duration,
    max_connections: usize,
    max_concurrent_streams: Option<u32>,
    http2: bool,
    half_close: bool,
    write_stall: Duration,
    linger: Duration,
    response_memory: usize,
}

/// A year, for those who mean for ever: clocks cannot add more than so much.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            grace: Duration::from_secs(30),
            max_connections: usize::MAX,
            max_concurrent_streams: None,
            http2: true,
            half_close: false,
            write_stall: Duration::from_secs(60),
            linger: Duration::from_secs(30),
            response_memory: 64 * 1024 * 1024,
        }
    }
}

impl<L, S, F> Server<L, S, F> {
    /// Stops this pool when the server stops, and reports what it is left with. May be called once for each pool.
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// Stops the server when this future is ready, whatever it says: `tokio::signal::ctrl_c()` will do, for Ctrl-C
    /// alone.
    ///
    /// Where that fails at once, because the system allows no handler, the server stops at once.
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
        let Self { listener, app, signal: _, urgent, pools, settings } = self;
        Server { listener, app, signal, urgent, pools, settings }
    }

    /// Stops the server without a grace when this future is ready, whatever its output is: requests that still run are
    /// cut, and the server has stopped at most one second later. If the server is draining already, its grace ends.
    pub fn with_immediate_shutdown<G>(mut self, signal: G) -> Self
    where
        G: Future + Send + 'static,
    {
        self.urgent = Box::pin(async move { drop(signal.await) });
        self
    }

    /// Stops the server at SIGTERM or Ctrl-C, and ends its grace at the second of them. Takes the places of both
    /// [`with_graceful_shutdown`](Server::with_graceful_shutdown) and
    /// [`with_immediate_shutdown`](Server::with_immediate_shutdown).
    ///
    /// The handlers are installed at once, by [`stop_signals`]. Without this call the library installs none, and a
    /// server that is the first process of a container is deaf to SIGTERM.
    ///
    /// # Errors
    ///
    /// The system allows no handler.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its input and output enabled.
    pub fn stop_on_signals(self) -> io::Result<Server<L, S, impl Future<Output = ()> + Send + use<L, S, F>>> {
        let (first, second) = stop_signals()?;
        Ok(self.with_graceful_shutdown(first).with_immediate_shutdown(second))
    }

    /// How long a client may take for its handshake, and for the head of a request, from its first byte to its last. Default: 30 seconds.
    /// Then its connection is closed, at the latest one second later. A new connection has as long for its first request.
    pub fn header_timeout(mut self, wait: Duration) -> Self {
        self.settings.header_timeout = wait;
        self
    }

    /// How long a connection stays open without a request. Default: 75 seconds. A proxy in front should give up its idle
    /// connections before. With zero, each request on HTTP/1 has a connection of its own.
    pub fn keep_alive(mut self, wait: Duration) -> Self {
        self.settings.keep_alive = wait;
        self
    }

    /// How long to wait for what has begun when the server stops. Default: 30 seconds. It has stopped at most one second later.
    pub fn grace(mut self, wait: Duration) -> Self {
        self.settings.grace = wait;
        self
    }

    /// The most connections, upgraded ones included. Default: as many as the system allows. Further ones wait in the system's own queue.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// The most requests at a time on one HTTP/2 connection. Default: half of what may wait in the smallest queue of the
    /// [pools](Server::pool), so that one client cannot fill it; at least 1, at most 200. Without a pool, 200.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.settings.max_concurrent_streams = Some(streams);
        self
    }

    /// Whether to speak HTTP/2, where clients begin with it or have agreed on it. Default: yes.
    ///
    /// With TLS, what is agreed on is the configuration's to say: leave `h2` out of its `alpn_protocols`.
    pub fn http2(mut self, yes: bool) -> Self {
        self.settings.http2 = yes;
        self
    }

    /// Whether a client on HTTP/1 may close its sending side before it has its response. Default: no: it counts as gone.
    ///
    /// With it, a client that has really gone is noticed only when something is written to it.
    pub fn half_close(mut self, allowed: bool) -> Self {
        self.settings.half_close = allowed;
        self
    }

    /// How long a peer may take nothing of what is sent to it. Default: 60 seconds.
    ///
    /// Then its connection is reset, at the latest five seconds later; on HTTP/2, a stream whose peer takes nothing of a response is reset alone.
    /// A peer that takes something, however little, has as long again. (On HTTP/2 at least 16 KiB of a response.)
    pub fn write_stall(mut self, wait: Duration) -> Self {
        self.settings.write_stall = wait;
        self
    }

    /// How long to go on reading what a client sends after its connection was closed on this side, so that it gets the answer to a request whose
    /// body was not wanted. Default: 30 seconds.
    ///
    /// What is read is thrown away: 32 MiB at once, then 8 MiB in a second. It ends before, when the client closes its side or sends nothing for
    /// five seconds. (RFC 9112 §9.6.)
    pub fn linger(mut self, longest: Duration) -> Self {
        self.settings.linger = longest;
        self
    }

    /// How many bytes of complete responses of gateways may wait for their clients. Default: 64 MiB. One connection may have a quarter.
    ///
    /// A response body that finds no room waits on the thread of its application, until its client has taken it or the
    /// [`write_stall`](crate::Gateway::write_stall) is over. Bodies of up to 16 KiB need no room, nor do files.
    pub fn response_memory(mut self, bytes: usize) -> Self {
        self.settings.response_memory = bytes;
        self
    }

    /// How many requests one HTTP/2 connection may have.
    fn streams(&self) -> u32 {
        let smallest = self.pools.iter().map(|pool| pool.stats().queue_limit).min();
        let half = smallest.map_or(200, |queue| u32::try_from(queue / 2).unwrap_or(u32::MAX));
        self.settings.max_concurrent_streams.unwrap_or(half.clamp(1, 200))
    }

    fn protocol(&self) -> Protocol {
        let Settings { half_close, header_timeout, keep_alive, write_stall, linger, .. } = self.settings;
        let [header_timeout, keep_alive, write_stall, linger] =
            [header_timeout, keep_alive, write_stall, linger].map(|time| time.min(LONGEST));
        let mut http1 = http1::Builder::new();
        // The timeouts of the connection watch more than heads, on both protocols, and need one timer for a connection instead of
        // one for a request. And it is the stream that looks for a client's end.
        http1.half_close(true).keep_alive(!keep_alive.is_zero()).header_read_timeout(None);
        let http2 = self.settings.http2.then(|| Http2::new(self.streams()));
        // Without it, what is left to wait for is the first request, and on HTTP/2 the next.
        let keep_alive = if keep_alive.is_zero() { header_timeout } else { keep_alive };
        let limits = Limits { header_timeout, keep_alive, write_stall };
        let memory = Arc::new(Account::new(self.settings.response_memory));
        Protocol { http1, http2, half_close, limits, linger, memory }
    }
}

impl<L, S, F, B> Server<L, S, F>
where
    L: Listener,
    S: Service<Request<AxumBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    F: Future + Send + 'static,
{
    /// Runs the server until it has stopped, and says what it had to leave behind.
    ///
    /// # Errors
    ///
    /// None so far: no failure of a connection, and no lack of resources, ends a server.
    pub async fn run(self) -> io::Result<Report> {
        let protocol = Arc::new(self.protocol());
        let Self { mut listener, mut app, signal, mut urgent, pools, settings } = self;
        make_ready(&mut app);
        #[cfg(unix)]
        if std::any::TypeId::of::<L::Io>() == std::any::TypeId::of::<tokio::net::UnixStream>() {
            crate::warning::unix_socket();
        }
        let mut connections = Connections::new();
        let mut signal = pin!(signal);
        let grace = 'serving: loop {
            // Kept while connections end, so that a pause after an error is not cut short.
            let mut accepting = pin!(accept(&mut listener));
            let opening = loop {
                tokio::select! {
                    biased;
                    () = urgent.as_mut() => break 'serving Grace::Over,
                    _ = signal.as_mut() => break 'serving Grace::Until(Instant::now() + settings.grace.min(LONGEST), urgent),
                    _ = connections.ended() => {}
                    opening = accepting.as_mut(), if connections.len() < settings.max_connections => break opening,
                }
            };
            connections.start(|stage, stopping| {
                connection::serve(opening, app.clone(), Arc::clone(&protocol), stage, stopping)
            });
        };
        drop(listener);
        Ok(drain::drain(connections, &pools, grace).await)
    }
}

/// Turns the handlers of a router into services now. Otherwise it does so for every request.
fn make_ready(app: &mut dyn Any) {
    if let Some(router) = app.downcast_mut::<Router>() {
        *router = std::mem::take(router).with_state(());
    }
}

/// Runs the server. The [`Report`] goes to the log, as warnings if there is anything to report.
impl<L, S, F, B> IntoFuture for Server<L, S, F>
where
    L: Listener,
    S: Service<Request<AxumBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
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

impl<L: fmt::Debug, S, F> fmt::Debug for Server<L, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("pools", &self.pools)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
