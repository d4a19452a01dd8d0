//! The settings of a server, with their defaults.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;

use crate::connection_context::Account;
use crate::serve::Server;
use crate::serve::connection::Protocol;
use crate::serve::lifecycle::Limits;
use crate::serve::streams::Http2;

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) header_timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) grace: Duration,
    pub(super) max_connections: usize,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) http2: bool,
    pub(super) half_close: bool,
    pub(super) write_stall: Duration,
    pub(super) linger: Duration,
    pub(super) response_memory: usize,
}

/// Durations are clamped to a year: adding `Duration::MAX` to an `Instant` would overflow.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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

/// # Settings
impl<L, S, F> Server<L, S, F> {
    /// How long a client may take for its handshake, from there to the end of the head of its first request, and for
    /// the head of each later request, from the first byte to the last. Default: 30 seconds. Then its connection is
    /// closed, at the latest one second later; six seconds where the first bytes of the head came together with the
    /// request before.
    pub fn header_timeout(mut self, wait: Duration) -> Self {
        self.settings.header_timeout = wait;
        self
    }

    /// How long a connection stays open without a request. Default: 75 seconds. A proxy in front should give up its
    /// idle connections before. With zero, each request on HTTP/1 has a connection of its own.
    pub fn keep_alive(mut self, wait: Duration) -> Self {
        self.settings.keep_alive = wait;
        self
    }

    /// How long to wait for what has begun when the server stops. Default: 30 seconds. It has stopped at most one
    /// second later.
    pub fn grace(mut self, wait: Duration) -> Self {
        self.settings.grace = wait;
        self
    }

    /// The most connections, upgraded ones included. Default: as many as the system allows. Further ones wait in the
    /// system's own queue.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// The most requests at a time on one HTTP/2 connection. Default: half of what may wait in the smallest queue of
    /// the [pools](Server::pool), so that one client cannot fill it; at least 1, at most 200. Without a pool, 200.
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

    /// Whether a client on HTTP/1 may close its sending side before it has its response. Default: no: it counts as
    /// gone.
    ///
    /// With it, a client that has really gone is noticed only when something is written to it.
    pub fn half_close(mut self, allowed: bool) -> Self {
        self.settings.half_close = allowed;
        self
    }

    /// How long a peer may take nothing of what is sent to it. Default: 60 seconds.
    ///
    /// Then its connection is reset, at the latest five seconds later; on HTTP/2, a stream whose peer takes nothing of
    /// a response is reset alone. A peer that takes something, however little, has as long again. What a peer takes is
    /// noticed in steps: of 128 KiB at most on TCP under Linux, of 156 KiB on a Unix socket, and of 16 KiB of a
    /// response on HTTP/2. A stream of HTTP/2 that a handler has taken over is not bounded.
    ///
    /// This is about the bytes that the server has; [`Gateway::write_stall`](crate::Gateway::write_stall) is about an
    /// application that waits for room in its response buffer, and frees its thread. The shorter one ends the response.
    pub fn write_stall(mut self, wait: Duration) -> Self {
        self.settings.write_stall = wait;
        self
    }

    /// How long to go on reading what a client sends after its connection was closed on this side, so that it gets the
    /// answer to a request whose body was not wanted. Default: 30 seconds.
    ///
    /// What is read is thrown away: 32 MiB at once, then 8 MiB in a second. It ends before, when the client closes its
    /// side or sends nothing for five seconds; and two seconds after the server was told to stop. (RFC 9112 §9.6.)
    pub fn linger(mut self, longest: Duration) -> Self {
        self.settings.linger = longest;
        self
    }

    /// How many bytes of complete responses of gateways may wait for their clients. Default: 64 MiB. One connection may
    /// have a quarter.
    ///
    /// A response body that finds no room waits on the thread of its application, until the server has taken all but 16
    /// KiB of it or the [`write_stall`](crate::Gateway::write_stall) is over. Bodies of up to 16 KiB need no room, nor
    /// do files. With 0, all larger bodies wait. What other handlers of the router answer does not count.
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

    pub(super) fn protocol(&self) -> Protocol {
        let Settings { half_close, header_timeout, keep_alive, write_stall, linger, .. } = self.settings;
        let [header_timeout, keep_alive, write_stall, linger] =
            [header_timeout, keep_alive, write_stall, linger].map(|time| time.min(LONGEST_TIMEOUT));
        let mut http1 = http1::Builder::new();
        // The timeouts of the connection watch more than heads, on both protocols, and need one timer for a connection
        // instead of one for a request. And it is the stream that looks for a client's end.
        http1.half_close(true).keep_alive(!keep_alive.is_zero()).header_read_timeout(None);
        let http2 = self.settings.http2.then(|| Http2::new(self.streams()));
        // Without it, what is left to wait for is the first request, and on HTTP/2 the next.
        let keep_alive = if keep_alive.is_zero() { header_timeout } else { keep_alive };
        let limits = Limits { header_timeout, keep_alive, write_stall };
        let memory = Arc::new(Account::new(self.settings.response_memory));
        Protocol { http1, http2, half_close, limits, linger, memory }
    }
}
