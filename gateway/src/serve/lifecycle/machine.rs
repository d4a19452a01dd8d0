//! The transitions between the states of a connection.
//!
//! Threads: any; takes no lock.

use std::io;

use tokio::time::Instant;

use crate::serve::lifecycle::state::{
    ConnectionState, LingerPolicy, OutputState, RequestBodyState, ResponseState, TimeoutKind, Timeouts,
};
use crate::serve::request_scanner::{Framing, RequestScanner, begins_head};

/// The state of a connection, and its transitions. [`Lifecycle`](super::Lifecycle) puts a lock around it.
#[derive(Debug)]
pub(in crate::serve) struct Machine {
    /// Whether a client on HTTP/1 may close its sending side and still get its response.
    half_close: bool,
    pub(super) state: ConnectionState,
    output: OutputState,
    /// The current request, or the one whose head is being received, is the last one: the server drains.
    pub(in crate::serve) is_last: bool,
    /// The end of the handshake. The header timeout of the first request starts here.
    opened: Instant,
    /// The number of the current exchange: a request body that outlives its exchange must not change a later one.
    pub(in crate::serve) exchange: u64,
    /// hyper's last read found no bytes.
    pub(in crate::serve) input_is_empty: bool,
    /// The position of the input in a request, on HTTP/1.
    pub(super) scanner: RequestScanner,
}

impl Machine {
    pub(super) fn new(half_close: bool) -> Self {
        Self {
            half_close,
            state: ConnectionState::Opening,
            output: OutputState::Flushed,
            is_last: false,
            opened: Instant::now(),
            exchange: 0,
            input_is_empty: false,
            scanner: RequestScanner::default(),
        }
    }

    /// The handshake is over.
    pub(in crate::serve) fn open(&mut self) {
        self.opened = Instant::now();
        self.state = ConnectionState::Idle { since: self.opened, first: true };
    }

    /// The peer speaks HTTP/2.
    pub(in crate::serve) fn set_http2(&mut self) {
        self.state = ConnectionState::Http2 { requests: 0, upgraded: 0, since: self.opened, first: true };
    }

    /// The peer has sent bytes. Fails if the connection was cut.
    pub(in crate::serve) fn receive(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input_is_empty = false;
        match self.state {
            ConnectionState::Idle { first, .. } => {
                self.scanner.start();
                self.scanner.scan(bytes);
                if begins_head(bytes) {
                    self.state = ConnectionState::Head { since: first.then_some(self.opened) };
                }
            }
            ConnectionState::Head { .. } | ConnectionState::Exchange { .. } => self.scanner.scan(bytes),
            ConnectionState::Unread { ref mut since, .. } => {
                let had_begun = self.scanner.next_has_begun();
                let had_ended = self.scanner.has_ended();
                self.scanner.scan(bytes);
                // Bytes of the body and the beginning of the next head restart the timeout; the rest of that head and
                // empty lines do not.
                if !had_ended || !had_begun && self.scanner.next_has_begun() {
                    *since = Instant::now();
                }
            }
            _ => {}
        }
        self.check()
    }

    pub(super) fn await_bytes(&mut self) -> io::Result<()> {
        self.input_is_empty = true;
        // hyper reads on only after it has parsed every byte, so it has discarded this body to its end.
        if self.request_body() == RequestBodyState::Abandoned && self.scanner.has_ended() {
            self.set_body(self.exchange, RequestBodyState::Read);
        }
        if let ConnectionState::Head { since: since @ None } = &mut self.state {
            *since = Some(Instant::now());
        }
        self.check()
    }

    /// Returns whether another request is allowed.
    pub(super) fn begin(&mut self, framing: Framing) -> bool {
        match &mut self.state {
            ConnectionState::Http2 { requests, first, .. } => {
                *requests += 1;
                *first = false;
            }
            ConnectionState::Exchange { request, .. } | ConnectionState::Unread { request, .. } => {
                let request = *request;
                if !self.ends_where_hyper_says(request) {
                    return false;
                }
                self.begin_exchange(framing);
            }
            ConnectionState::Idle { .. } | ConnectionState::Head { .. } => self.begin_exchange(framing),
            // hyper may still hand over a request of an HTTP/2 connection that it is closing.
            _ => {}
        }
        true
    }

    fn begin_exchange(&mut self, framing: Framing) {
        let has_body = framing != Framing::Sized(0);
        let request = if has_body { RequestBodyState::Reading } else { RequestBodyState::Read };
        self.state = ConnectionState::Exchange { request, response: ResponseState::Awaited };
        self.exchange += 1;
        self.scanner.head_is_parsed(framing);
    }

    /// Whether the next request begins where hyper says, given how far the reader has read the body.
    fn ends_where_hyper_says(&self, request: RequestBodyState) -> bool {
        match request {
            RequestBodyState::Read => true,
            RequestBodyState::ReadTooFar => false,
            // hyper has read the rest itself; only the scanner has checked the trailers.
            RequestBodyState::Reading | RequestBodyState::Abandoned | RequestBodyState::Broken => {
                self.scanner.has_ended()
            }
        }
    }

    /// The request body has trailer fields. Returns whether the current request must be the last.
    pub(super) fn read_trailers(&mut self, exchange: u64) -> bool {
        if !self.scanner.has_ended() {
            self.set_body(exchange, RequestBodyState::ReadTooFar);
        }
        self.request_body() == RequestBodyState::ReadTooFar
    }

    /// Sets the state of an exchange's request body. Has no effect once another exchange has begun.
    pub(in crate::serve) fn set_body(&mut self, exchange: u64, becomes: RequestBodyState) {
        if self.exchange != exchange {
            return;
        }
        match &mut self.state {
            ConnectionState::Unread { .. } if becomes == RequestBodyState::Read => self.state = self.between_requests(),
            ConnectionState::Exchange { request, .. } | ConnectionState::Unread { request, .. } => *request = becomes,
            _ => {}
        }
    }

    /// Whether an exchange has no response yet.
    pub(super) fn awaits_response(&self, exchange: u64) -> bool {
        self.exchange == exchange
            && matches!(self.state, ConnectionState::Exchange { response: ResponseState::Awaited, .. })
    }

    pub(super) fn request_body(&self) -> RequestBodyState {
        match self.state {
            ConnectionState::Exchange { request, .. } | ConnectionState::Unread { request, .. } => request,
            _ => RequestBodyState::Read,
        }
    }

    /// Returns whether the connection is known to end after the response.
    pub(super) fn respond(&mut self, close_delimited: bool) -> bool {
        if let ConnectionState::Exchange { response, .. } = &mut self.state {
            *response = ResponseState::Sending { close_delimited };
        }
        let is_unread = !matches!(self.request_body(), RequestBodyState::Read | RequestBodyState::Reading);
        close_delimited || is_unread || self.is_last
    }

    pub(super) fn hand_over(&mut self) {
        match &mut self.state {
            // The shutdown that ends a close-delimited body has not happened yet.
            ConnectionState::Exchange { response: ResponseState::Sending { close_delimited: true }, .. } => {}
            ConnectionState::Exchange { response, .. } => *response = ResponseState::HandedOver,
            ConnectionState::Http2 { requests, since, .. } => {
                *requests = requests.saturating_sub(1);
                *since = Instant::now();
            }
            _ => {}
        }
    }

    /// The socket has accepted some of hyper's output. Fails if the connection was cut.
    pub(in crate::serve) fn write(&mut self) -> io::Result<()> {
        self.output = OutputState::Unflushed;
        self.check()
    }

    /// The HTTP/2 frames just written belong to a response.
    pub(in crate::serve) fn write_response(&mut self) {
        if let ConnectionState::Http2 { since, .. } = &mut self.state {
            *since = Instant::now();
        }
    }

    pub(super) fn block_write(&mut self, taken: Option<u64>) -> io::Result<()> {
        match self.output {
            OutputState::Blocked { taken: before, .. } if before == taken => {}
            _ => self.output = OutputState::Blocked { since: Instant::now(), taken },
        }
        self.check()
    }

    /// The socket has accepted all of hyper's output. Returns the same as
    /// [`awaits_only_response`](Self::awaits_only_response).
    pub(in crate::serve) fn flush(&mut self) -> bool {
        self.output = OutputState::Flushed;
        if let ConnectionState::Exchange { request, response: ResponseState::HandedOver } = self.state {
            self.state = match request {
                RequestBodyState::Read => self.between_requests(),
                _ => ConnectionState::Unread { since: Instant::now(), request },
            };
        }
        self.awaits_only_response()
    }

    /// The state after a request and its response.
    fn between_requests(&self) -> ConnectionState {
        match self.scanner.next_has_begun() {
            false => ConnectionState::Idle { since: Instant::now(), first: false },
            true => ConnectionState::Head { since: None },
        }
    }

    /// When the connection became idle: no request is outstanding and hyper has nothing to write, after the first
    /// request. `None` in any other state.
    pub(in crate::serve) fn idle_since(&self) -> Option<Instant> {
        match (self.state, self.output) {
            (ConnectionState::Idle { since, first: false }, OutputState::Flushed) => Some(since),
            _ => None,
        }
    }

    /// Whether a handler may take over the connection as a whole.
    pub(super) fn may_be_upgraded(&self) -> bool {
        !matches!(self.state, ConnectionState::Http2 { .. })
    }

    /// Whether the stream was dropped before the end of this exchange's request body, as far as is known.
    pub(in crate::serve) fn broke_off(&self, exchange: u64) -> bool {
        let body_had_ended = self.exchange == exchange && self.scanner.has_ended();
        self.state == ConnectionState::Ended && !body_had_ended
    }

    /// Whether a part of a head was received.
    pub(in crate::serve) fn is_in_head(&self) -> bool {
        matches!(self.state, ConnectionState::Head { .. })
    }

    /// Whether the server has shut down its sending side and discards what the client still sends.
    pub(in crate::serve) fn is_lingering(&self) -> bool {
        self.state == ConnectionState::Lingering
    }

    /// Whether EOF from the client on HTTP/1 means a disconnect: the client has sent its request and waits for the
    /// response.
    pub(in crate::serve) fn awaits_only_response(&self) -> bool {
        match self.state {
            ConnectionState::Exchange { request, response } => {
                !self.half_close
                    && request != RequestBodyState::Reading
                    && request != RequestBodyState::Broken
                    && response != ResponseState::HandedOver
            }
            _ => false,
        }
    }

    /// The server shuts down its sending side.
    pub(in crate::serve) fn shut_down(&mut self) -> LingerPolicy {
        let shutdown = match self.state {
            // The handler of an upgraded stream may read on after its shutdown: no lingering.
            ConnectionState::Lingering
            | ConnectionState::Upgraded { .. }
            | ConnectionState::Cut
            | ConnectionState::Reset
            | ConnectionState::Ended => return LingerPolicy::Never,
            ConnectionState::Idle { .. } => LingerPolicy::IfUnread,
            _ => LingerPolicy::Always,
        };
        self.state = ConnectionState::Lingering;
        shutdown
    }

    /// hyper is done with the connection. Returns whether a handler owns the stream now.
    pub(in crate::serve) fn upgrade(&mut self) -> bool {
        if self.state == ConnectionState::Ended {
            return false;
        }
        self.state = ConnectionState::Upgraded { since: Instant::now() };
        self.scanner = RequestScanner::default();
        true
    }

    pub(super) fn add_upgraded_stream(&mut self) {
        if let ConnectionState::Http2 { upgraded, .. } = &mut self.state {
            *upgraded += 1;
        }
    }

    pub(super) fn remove_upgraded_stream(&mut self) {
        if let ConnectionState::Http2 { upgraded, since, .. } = &mut self.state {
            *upgraded = upgraded.saturating_sub(1);
            *since = Instant::now();
        }
    }

    /// When the last request ended, on a connection that does not end by itself after a shutdown request: a handler has
    /// taken over the connection or a stream, or an HTTP/2 peer does not acknowledge. Also returns whether it is a
    /// handler.
    pub(in crate::serve) fn requests_done_since(&self) -> Option<(Instant, bool)> {
        match (self.state, self.output) {
            (ConnectionState::Upgraded { since }, _) => Some((since, true)),
            (ConnectionState::Http2 { requests: 0, upgraded, since, .. }, OutputState::Flushed) => {
                Some((since, upgraded > 0))
            }
            _ => None,
        }
    }

    pub(super) fn cut(&mut self) {
        if !matches!(self.state, ConnectionState::Reset | ConnectionState::Ended) {
            self.state = ConnectionState::Cut;
        }
    }

    /// The peer reads nothing: the connection is reset when the stream is dropped.
    pub(in crate::serve) fn reset(&mut self) {
        if self.state != ConnectionState::Ended {
            self.state = ConnectionState::Reset;
        }
    }

    /// Returns whether the connection must be reset. An orderly close would make an incomplete close-delimited response
    /// look complete.
    pub(super) fn end(&mut self) -> bool {
        let resets = matches!(
            self.state,
            ConnectionState::Reset
                | ConnectionState::Exchange { response: ResponseState::Sending { close_delimited: true }, .. }
        );
        self.state = ConnectionState::Ended;
        resets
    }

    /// Fails if the connection was cut or reset.
    fn check(&self) -> io::Result<()> {
        if matches!(self.state, ConnectionState::Cut | ConnectionState::Reset) {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }

    /// The next timeout of the connection in its current state, and its cause. `None` if no timeout runs.
    pub(in crate::serve) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, TimeoutKind)> {
        let request = match self.state {
            ConnectionState::Idle { since, first: true } => Some(since + timeouts.header_timeout),
            ConnectionState::Idle { since, first: false } => Some(since + timeouts.keep_alive),
            ConnectionState::Head { since } => since.map(|since| since + timeouts.header_timeout),
            ConnectionState::Unread { since, .. } => Some(since + timeouts.header_timeout),
            ConnectionState::Http2 { requests: 0, upgraded: 0, since, first } => {
                Some(since + if first { timeouts.header_timeout } else { timeouts.keep_alive })
            }
            ConnectionState::Opening
            | ConnectionState::Exchange { .. }
            | ConnectionState::Http2 { .. }
            | ConnectionState::Upgraded { .. }
            | ConnectionState::Cut
            | ConnectionState::Reset
            | ConnectionState::Lingering
            | ConnectionState::Ended => None,
        };
        let progress = match self.output {
            OutputState::Blocked { since, .. } => Some(since + timeouts.write_stall),
            OutputState::Flushed | OutputState::Unflushed => None,
        };
        let request = request.map(|at| (at, TimeoutKind::Request));
        let progress = progress.map(|at| (at, TimeoutKind::WriteStall));
        request.into_iter().chain(progress).min_by_key(|(at, _)| *at)
    }
}
