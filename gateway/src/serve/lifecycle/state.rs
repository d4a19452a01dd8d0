//! What is outstanding on a connection.
//!
//! Threads: any; takes no lock.

use tokio::time::{Duration, Instant};

/// What is outstanding on a connection.
///
/// # Transitions
///
/// | from | event | to |
/// |---|---|---|
/// | `Opening` | the handshake is over | `Idle` |
/// | `Idle`, `Head` | the first bytes, or the handshake, tell HTTP/2 | `Http2` |
/// | `Idle` | bytes come that are no empty line | `Head` |
/// | `Idle`, `Head`, `Unread`, `Exchange` whose response is handed over | hyper has parsed a head | `Exchange` |
/// | `Exchange` | hyper has all of the response, and has flushed it | `Idle` if the request body was read to its end and nothing has come after it, `Head` if something has, else `Unread` |
/// | `Unread` | the request body is read to its end after all | `Idle` or `Head`, likewise |
/// | any but `Ended` | hyper is done, and a handler owns the stream | `Upgraded` |
/// | `Upgraded` | the server cuts the connection | `Cut` |
/// | any but `Upgraded`, `Cut`, `Ended` | the server has closed its sending side | `Lingering` |
/// | any | the stream is dropped | `Ended` |
///
/// `Idle` is the only state in which hyper's buffers may be [released](super::Lifecycle::idle_since). No request is
/// outstanding in it, in either direction: an unread body is in `Exchange` or `Unread`, and neither leads to `Idle`
/// without the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The handshake runs.
    Opening,
    /// HTTP/1: nothing of a request is outstanding, in either direction.
    Idle { since: Instant, first: bool },
    /// HTTP/1: a part of a head has come. Of the first head, `since` is when the connection was opened; of others, when
    /// hyper has first asked for the rest: most heads come whole and need no clock.
    Head { since: Option<Instant> },
    /// HTTP/1: a request is with its handler, or its response is on its way to hyper or to the socket.
    Exchange { request: RequestBodyState, response: ResponseState },
    /// HTTP/1: the response has gone, and the request body was not read to its end. hyper closes the connection, unless
    /// the rest of the body is in its buffer already, or somebody still reads it.
    Unread { since: Instant, request: RequestBodyState },
    /// HTTP/2: so many requests have no complete response yet; so many streams were handed over by an extended CONNECT.
    /// `since` is when the peer has last asked or taken something that belongs to a request.
    Http2 { requests: usize, upgraded: usize, since: Instant, first: bool },
    /// HTTP/1: a handler owns the stream after an upgrade, since this instant.
    Upgraded { since: Instant },
    /// The server has cut an upgraded stream: reads and writes of its handler fail.
    Cut,
    /// The server has closed its sending side, and reads and discards what still comes.
    Lingering,
    /// The stream is gone.
    Ended,
}

/// How far a request body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum RequestBodyState {
    /// To its end, or there was none.
    Read,
    /// Its reader has not seen the end.
    Reading,
    /// To what hyper takes for its end, and the trailer fields before it are not in order: hyper may have read the head
    /// of the next request as trailers, and no other request may follow on the connection.
    ReadTooFar,
    /// Its reader has gone before the end.
    Abandoned,
    /// It broke off: the peer has ended its side within it.
    Broken,
}

/// How far a response has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseState {
    /// The handler has not answered yet.
    Awaited,
    /// The head has gone to hyper. If the body has no length, its end is the end of the connection.
    Sending { close_delimited: bool },
    /// hyper has all of it.
    HandedOver,
}

/// What has become of the bytes that hyper writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// The socket has all of them.
    Flushed,
    /// hyper has written, and has not flushed.
    Unflushed,
    /// The socket has accepted nothing since this instant. `taken` is the byte count of
    /// [`Transport::taken`](crate::serve::Transport::taken) at that time.
    Blocked { since: Instant, taken: Option<u64> },
}

/// The clocks of a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Limits {
    /// For a head, and for the first request.
    pub(in crate::serve) header_timeout: Duration,
    /// Between requests.
    pub(in crate::serve) keep_alive: Duration,
    /// For a socket that takes nothing.
    pub(in crate::serve) write_stall: Duration,
}

/// Which timeout of a connection has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Overdue {
    /// A request, or the rest of its head.
    Request,
    /// That the peer takes what was written.
    Progress,
}

/// What was going on when the server said the end of its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Shutdown {
    /// It has said so before, or a handler says so on a stream that it has taken over.
    NotOurs,
    /// Nothing: what the client may send now is a request that crosses with the end.
    OfIdle,
    /// The client may still be sending a part of what was refused.
    OfBusy,
}
