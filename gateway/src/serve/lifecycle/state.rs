//! The states of a connection.
//!
//! Threads: any; takes no lock.

use tokio::time::{Duration, Instant};

/// The states of a connection.
///
/// # Transitions
///
/// | from | event | to |
/// |---|---|---|
/// | `Opening` | the handshake is over | `Idle` |
/// | `Idle`, `Head` | the first bytes, or the handshake, select HTTP/2 | `Http2` |
/// | `Idle` | bytes other than empty lines are received | `Head` |
/// | `Idle`, `Head`, `Unread`, `Exchange` whose response is handed over | hyper has parsed a head | `Exchange` |
/// | `Exchange` | hyper has all of the response, and has flushed it | `Idle` if the request body was read to its end and no later bytes were received, `Head` if some were, else `Unread` |
/// | `Unread` | the request body is read to its end, or hyper has discarded it to its end and waits for bytes | `Idle` or `Head`, likewise |
/// | any but `Ended` | hyper is done, and a handler owns the stream | `Upgraded` |
/// | `Upgraded` | the server cuts the connection | `Cut` |
/// | any but `Ended` | the peer reads nothing for the write timeout | `Reset` |
/// | any but `Upgraded`, `Cut`, `Reset`, `Ended` | the server shuts down its sending side | `Lingering` |
/// | any | the stream is dropped | `Ended` |
///
/// hyper's buffers may be [released](super::Machine::idle_since) only in `Idle`. No request is outstanding in it, in
/// either direction: an unread body keeps the connection in `Exchange` or `Unread` until the body has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// The handshake runs.
    Opening,
    /// HTTP/1: nothing of a request is outstanding, in either direction.
    Idle { since: Instant, first: bool },
    /// HTTP/1: a part of a head was received. `since` starts the header timeout: for the first head, when the
    /// connection was opened; for later heads, hyper's first read that finds no bytes. Most heads arrive whole and need
    /// no timeout.
    Head { since: Option<Instant> },
    /// HTTP/1: the handler runs, or its response is not yet flushed to the socket.
    Exchange { request: RequestBodyState, response: ResponseState },
    /// HTTP/1: the response is flushed, and the request body was not read to its end. hyper closes the connection,
    /// unless its buffer has the rest of the body or a reader still reads it.
    Unread { since: Instant, request: RequestBodyState },
    /// HTTP/2: the counts of requests without a complete response, and of streams that handlers have taken over by an
    /// extended CONNECT. `since` is when the last part of a response was written, or the last request or stream ended.
    Http2 { requests: usize, upgraded: usize, since: Instant, first: bool },
    /// HTTP/1: a handler owns the stream since an upgrade at this instant.
    Upgraded { since: Instant },
    /// The server has cut an upgraded stream: reads and writes of its handler fail.
    Cut,
    /// The peer reads nothing: reads and writes fail, and the connection is reset when the stream is dropped, so that
    /// the system discards the unsent output.
    Reset,
    /// The server has shut down its sending side, and discards what the client still sends.
    Lingering,
    /// The stream was dropped.
    Ended,
}

/// How far a request body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum RequestBodyState {
    /// To its end, by its reader or by hyper, or there is no body.
    Read,
    /// A reader has not reached the end.
    Reading,
    /// To the end that hyper found, but the trailer fields are malformed: hyper may have parsed the head of the next
    /// request as trailers, so the connection accepts no other request.
    ReadTooFar,
    /// Its reader was dropped before the end.
    Abandoned,
    /// It is incomplete: reading it failed.
    Broken,
}

/// How far a response has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseState {
    /// The handler has not responded.
    Awaited,
    /// hyper has the head. The end of a close-delimited body is the end of the connection.
    Sending { close_delimited: bool },
    /// hyper has all of it.
    HandedOver,
}

/// The state of hyper's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputState {
    /// The socket has all of it.
    Flushed,
    /// hyper has written, and has not flushed.
    Unflushed,
    /// The socket has accepted nothing since this instant. `taken` is the byte count of
    /// [`Transport::taken`](crate::serve::Transport::taken) at that time.
    Blocked { since: Instant, taken: Option<u64> },
}

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Timeouts {
    /// For a head, and for the first request.
    pub(in crate::serve) header_timeout: Duration,
    /// Between requests.
    pub(in crate::serve) keep_alive: Duration,
    /// For a socket that accepts nothing.
    pub(in crate::serve) write_stall: Duration,
}

/// A timeout of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum TimeoutKind {
    /// No request, or no complete head, was received.
    Request,
    /// The peer has not taken the written bytes.
    WriteStall,
}

/// Whether to read and discard after the server has shut down its sending side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum LingerPolicy {
    /// The sending side was shut down before, or a handler owns the stream.
    Never,
    /// The connection was idle: the client may have sent a request that crosses with the shutdown.
    IfUnread,
    /// The client may still be sending a refused request.
    Always,
}
