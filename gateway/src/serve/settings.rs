//! The settings of a server, with their defaults.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;

use crate::connection_context::Account;
use crate::serve::Server;
use crate::serve::connection::ConnectionConfig;
use crate::serve::lifecycle::Timeouts;
use crate::serve::malformed_head::{MalformedHead, MalformedHeads, Observer};

#[derive(Debug, Clone)]
pub(super) struct ServerSettings {
    pub(super) header_timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) grace: Duration,
    pub(super) max_connections: usize,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) http2: bool,
    pub(super) half_close: bool,
    pub(super) title_case_headers: bool,
    pub(super) write_stall: Duration,
    pub(super) linger: Duration,
    pub(super) response_memory: usize,
    pub(super) on_malformed_head: Option<Observer>,
}

/// Durations are clamped to a year: adding `Duration::MAX` to an `Instant` would overflow.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            grace: Duration::from_secs(30),
            max_connections: usize::MAX,
            max_concurrent_streams: None,
            http2: true,
            half_close: false,
            title_case_headers: false,
            write_stall: Duration::from_secs(60),
            linger: Duration::from_secs(30),
            response_memory: 64 * 1024 * 1024,
            on_malformed_head: None,
        }
    }
}

setters! {
    /// # Settings
    impl Server<L, S, F>;

    /// The timeout of the handshake, of the time from there to the end of the first request's head, and on HTTP/1 of
    /// each later head from its first to its last byte. Default: 30 seconds. The connection is closed at most one
    /// second after the timeout; at most six seconds, if the first bytes of the head arrived together with the previous
    /// request. On HTTP/2, an incomplete later head falls under [`keep_alive`](Self::keep_alive).
    pub fn header_timeout(mut self, wait: Duration) { self.settings.header_timeout = wait }

    /// How long a connection stays open without a request. Default: 75 seconds. The idle timeout of a proxy in front
    /// should be shorter. With zero, HTTP/1 connections are closed after one request.
    pub fn keep_alive(mut self, wait: Duration) { self.settings.keep_alive = wait }

    /// How long a stopping server waits for its requests. Default: 30 seconds. The server has stopped at most one
    /// second later.
    pub fn grace(mut self, wait: Duration) { self.settings.grace = wait }

    /// The most connections, upgraded ones included. Default: unlimited. Further ones wait in the system's accept
    /// queue.
    pub fn max_connections(mut self, connections: usize) { self.settings.max_connections = connections }

    /// The most concurrent requests on one HTTP/2 connection. Default: half of the smallest queue limit of the
    /// [pools](Server::pool), so that one client cannot fill the queue; at least 1, at most 200. Without a pool, 200.
    pub fn max_concurrent_streams(mut self, streams: u32) { self.settings.max_concurrent_streams = Some(streams) }

    /// Whether to speak HTTP/2 with clients that begin with it or have negotiated it. Default: yes.
    ///
    /// With TLS the configuration decides what is negotiated: leave `h2` out of its `alpn_protocols`.
    pub fn http2(mut self, yes: bool) { self.settings.http2 = yes }

    /// Whether an HTTP/1 client may half-close its connection before it has its response. Default: no, EOF counts as a
    /// disconnect.
    ///
    /// If allowed, a disconnect is detected only at a write.
    pub fn half_close(mut self, allowed: bool) { self.settings.half_close = allowed }

    /// Whether the names of header fields begin with capitals on HTTP/1, as `Content-Type` does. Default: no, they are
    /// lower case, as on HTTP/2, where they have to be.
    ///
    /// Names are case-insensitive (RFC 9110 §5.1); the setting is for old clients that do not know this. The case in
    /// which an application wrote a name is not kept: `X-ID` becomes `X-Id`.
    pub fn title_case_headers(mut self, yes: bool) { self.settings.title_case_headers = yes }

    /// How long a peer may read nothing of the bytes sent to it. Default: 60 seconds.
    ///
    /// Then its connection is reset, at most five seconds later; on HTTP/2, if the peer reads nothing of one response,
    /// only that stream is reset. Any progress restarts the timeout. Progress is detected in steps: of at most 128 KiB
    /// on TCP under Linux, of 156 KiB on a Unix socket, and of 16 KiB of a response on HTTP/2. An HTTP/2 stream that a
    /// handler has taken over has no such timeout.
    ///
    /// This timeout covers the bytes that the server has; [`Gateway::write_stall`](crate::Gateway::write_stall) covers
    /// an application that waits for room in its response buffer, and frees its thread. The shorter one ends the
    /// response.
    pub fn write_stall(mut self, wait: Duration) { self.settings.write_stall = wait }

    /// How long to read and discard what a client sends after the server has shut down its sending side, so that the
    /// client receives the response to a request whose body was not read. Default: 30 seconds.
    ///
    /// 32 MiB are read without delay, then 8 MiB per second. Lingering ends early at EOF, after five seconds without
    /// bytes, and two seconds after the server has begun to stop (RFC 9112 §9.6).
    pub fn linger(mut self, longest: Duration) { self.settings.linger = longest }

    /// How many bytes of complete responses of gateways may be buffered for their clients. Default: 64 MiB. One
    /// connection may use a quarter.
    ///
    /// A response body that finds no room blocks the thread of its application until the server has taken all but 16
    /// KiB of it, or the [`write_stall`](crate::Gateway::write_stall) is over. Bodies of up to 16 KiB and files need no
    /// room. With 0, all larger bodies wait. Responses of other handlers do not count.
    pub fn response_memory(mut self, bytes: usize) { self.settings.response_memory = bytes }

    /// Calls `observe` for each request on HTTP/1 that the server has refused itself, because its head cannot be
    /// parsed: with 400, 414 or 431. No service sees such a request, and so no layer either. Default: they are events
    /// of the target `gateway::serve` alone, at the level info, of which there are at most ten a second; the next event
    /// has the number of those that were left out.
    ///
    /// It runs on the runtime and must not block. A panic is caught and logged.
    pub fn on_malformed_head(mut self, observe: impl Fn(&MalformedHead) + Send + Sync + 'static) {
        self.settings.on_malformed_head = Some(Observer::new(observe))
    }
}

impl<L, S, F> Server<L, S, F> {
    /// The concurrent requests allowed on one HTTP/2 connection.
    fn streams(&self) -> u32 {
        let smallest = self.pools.iter().map(|pool| pool.stats().queue_limit).min();
        let half = smallest.map_or(200, |queue| u32::try_from(queue / 2).unwrap_or(u32::MAX));
        self.settings.max_concurrent_streams.unwrap_or(half.clamp(1, 200))
    }

    pub(super) fn connection_config(&self) -> ConnectionConfig {
        let ServerSettings { half_close, header_timeout, keep_alive, write_stall, linger, .. } = self.settings;
        let [header_timeout, keep_alive, write_stall, linger] =
            [header_timeout, keep_alive, write_stall, linger].map(|time| time.min(LONGEST_TIMEOUT));
        let mut http1 = http1::Builder::new();
        // `ConnectionTimeouts` covers heads and more, on both protocols, with one timer per connection instead of one
        // per request. And `ConnectionIo` detects a disconnect.
        http1.half_close(true).keep_alive(!keep_alive.is_zero()).header_read_timeout(None);
        // hyper has no public type for the case of the single names of a response.
        http1.title_case_headers(self.settings.title_case_headers);
        let http2 = self.settings.http2.then(|| self.streams());
        // Without keep-alive the only waits are for the first request, and on HTTP/2 for the next.
        let keep_alive = if keep_alive.is_zero() { header_timeout } else { keep_alive };
        let timeouts = Timeouts { header_timeout, keep_alive, write_stall };
        let memory = Arc::new(Account::new(self.settings.response_memory));
        let malformed_heads = MalformedHeads::new(self.settings.on_malformed_head.clone());
        ConnectionConfig { http1, http2, half_close, timeouts, linger, memory, malformed_heads }
    }
}
