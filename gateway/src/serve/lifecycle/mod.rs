//! The life of a connection, shared by its stream, its requests and its timeouts.
//!
//! Threads: any; locks briefly.

mod machine;
mod state;
#[cfg(all(test, not(gateway_loom)))]
mod tests;

use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};

use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::machine::Machine;
use self::state::ConnectionState;
use crate::serve::request_scanner::Framing;
use crate::sync::{Mutex, lock};

pub(super) use self::state::{LingerPolicy, RequestBodyState, TimeoutKind, Timeouts};

/// The [`ConnectionState`] of one connection and its wakers, behind a lock.
///
/// On HTTP/1 one task drives the stream and the responses; any thread may read a request body. On HTTP/2 each request
/// has a task of its own.
#[derive(Debug)]
pub(super) struct Lifecycle {
    /// Whether a client on HTTP/1 may close its sending side and still get its response.
    half_close: bool,
    inner: Mutex<LockedState>,
    /// The stream was dropped.
    ended: Notify,
}

#[derive(Debug)]
struct LockedState {
    machine: Machine,
    /// The unread rest of the current request body, if its reader was dropped before the handler responded.
    leftover: Option<Incoming>,
    /// Wakers of the tasks that read and write an upgraded stream; [`cut`](Lifecycle::cut) wakes them.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Lifecycle {
    pub(super) fn new(half_close: bool) -> Self {
        let inner = LockedState { machine: Machine::new(), leftover: None, reader: None, writer: None };
        Self { half_close, inner: Mutex::new(inner), ended: Notify::new() }
    }

    fn with<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        change(&mut lock(&self.inner).machine)
    }

    /// The handshake is over.
    pub(super) fn opened(&self) {
        self.with(Machine::open);
    }

    pub(super) fn set_http2(&self) {
        self.with(Machine::set_http2);
    }

    /// The peer has sent bytes. Fails if the connection was cut.
    pub(super) fn received(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|machine| machine.receive(bytes))
    }

    /// A reader waits for bytes. Fails if the connection was cut.
    pub(super) fn awaits_bytes(&self, cx: &Context<'_>) -> io::Result<()> {
        let (waits, earlier) = {
            let inner = &mut *lock(&self.inner);
            // One critical section: a `cut` before it fails the read; a `cut` after it finds the waker.
            (inner.machine.await_bytes(), inner.machine.may_be_upgraded().then(|| store_waker(&mut inner.reader, cx)))
        };
        drop(earlier);
        waits
    }

    /// hyper has parsed a head. The request is in flight until the guard is dropped. `None` if the end of the previous
    /// request is uncertain: the request must be refused, see [`has_to_close`](Self::has_to_close).
    pub(super) fn begin(self: &Arc<Self>, framing: Framing) -> Option<InFlight> {
        self.with(|machine| machine.begin(framing)).then(|| InFlight(Arc::clone(self)))
    }

    /// Whether the current request must be the last, because its end is uncertain.
    pub(super) fn has_to_close(&self) -> bool {
        self.with(|machine| machine.has_to_close())
    }

    pub(super) fn exchange(&self) -> u64 {
        self.with(|machine| machine.exchange)
    }

    /// Sets the state of an exchange's request body. Has no effect once another exchange has begun.
    pub(super) fn set_body(&self, exchange: u64, becomes: RequestBodyState) {
        self.with(|machine| machine.set_body(exchange, becomes));
    }

    /// The request body of an exchange has trailer fields. Returns whether they are well-formed, as far as is known.
    pub(super) fn read_trailers(&self, exchange: u64) -> bool {
        self.with(|machine| {
            machine.read_trailers(exchange);
            !machine.has_to_close()
        })
    }

    /// The reader of a request body was dropped before the end of the body. The rest is kept for
    /// [`take_leftover`](Self::take_leftover) if the handler has not responded yet.
    pub(super) fn body_abandoned(&self, exchange: u64, left: Incoming) {
        let mut left = Some(left);
        {
            let inner = &mut *lock(&self.inner);
            inner.machine.set_body(exchange, RequestBodyState::Abandoned);
            if inner.machine.awaits_response(exchange) {
                std::mem::swap(&mut inner.leftover, &mut left);
            }
        }
        // After unlocking: dropping an `Incoming` wakes the connection's task, which takes this lock.
        drop(left);
    }

    /// The unread rest of the current request body, if its reader was dropped.
    pub(super) fn take_leftover(&self) -> Option<Incoming> {
        lock(&self.inner).leftover.take()
    }

    /// Whether hyper's last read found no bytes.
    pub(super) fn input_is_empty(&self) -> bool {
        self.with(|machine| machine.input_is_empty)
    }

    /// The head of a response is handed to hyper. Returns whether the connection is known to end after the response.
    /// The end of a close-delimited body is the end of the connection.
    pub(super) fn responds(&self, close_delimited: bool) -> bool {
        let (ends, leftover) = {
            let inner = &mut *lock(&self.inner);
            // One critical section: a body reader that is dropped later sees the response and drops the rest of the
            // body itself; one that was dropped earlier has left it here.
            (inner.machine.respond(close_delimited), inner.leftover.take())
        };
        drop(leftover);
        ends
    }

    /// The current request, or the one whose head is being received, is the last one.
    pub(super) fn take_no_more(&self) {
        self.with(|machine| machine.is_last = true);
    }

    /// The socket has accepted some of hyper's output. Fails if the connection was cut.
    pub(super) fn wrote(&self) -> io::Result<()> {
        self.with(Machine::write)
    }

    /// The HTTP/2 frames just written belong to a response.
    pub(super) fn wrote_response(&self) {
        self.with(Machine::write_response);
    }

    /// The socket accepts nothing now. `taken` is the total that the transport below has accepted, if it is known.
    /// Fails if the connection was cut.
    pub(super) fn write_blocked(&self, taken: Option<u64>, cx: &Context<'_>) -> io::Result<()> {
        let (waits, earlier) = {
            let inner = &mut *lock(&self.inner);
            // One critical section, as in `awaits_bytes`: no `cut` falls between the check and the waker.
            (
                inner.machine.block_write(taken),
                inner.machine.may_be_upgraded().then(|| store_waker(&mut inner.writer, cx)),
            )
        };
        drop(earlier);
        waits
    }

    /// The socket has accepted all of hyper's output.
    pub(super) fn flushed(&self) {
        self.with(Machine::flush);
    }

    /// When the connection became idle, after the first request.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.with(|machine| machine.idle_since())
    }

    /// Whether a part of a head was received.
    pub(super) fn is_in_head(&self) -> bool {
        self.with(|machine| matches!(machine.state, ConnectionState::Head { .. }))
    }

    /// Whether EOF from the client on HTTP/1 means a disconnect: the client has sent its request and waits for the
    /// response.
    pub(super) fn awaits_only_response(&self) -> bool {
        !self.half_close && self.with(|machine| machine.awaits_only_response())
    }

    /// The server shuts down its sending side.
    pub(super) fn shut_down(&self) -> LingerPolicy {
        self.with(Machine::shut_down)
    }

    /// Whether the server has shut down its sending side and discards what the client still sends.
    pub(super) fn is_lingering(&self) -> bool {
        self.with(|machine| machine.state == ConnectionState::Lingering)
    }

    /// hyper is done with the connection. Returns whether a handler owns the stream now.
    pub(super) fn upgrade(&self) -> bool {
        self.with(Machine::upgrade)
    }

    /// The task of an extended CONNECT on HTTP/2 begins. The stream is counted until the guard is dropped.
    pub(super) fn stream_upgraded(self: &Arc<Self>) -> UpgradedStream {
        self.with(Machine::add_upgraded_stream);
        UpgradedStream(Arc::clone(self))
    }

    /// When the last request ended, on a connection that does not end by itself after a shutdown request; and whether a
    /// handler has taken over the connection or one of its streams.
    pub(super) fn requests_done_since(&self) -> Option<(Instant, bool)> {
        self.with(|machine| machine.requests_done_since())
    }

    /// Makes reads and writes of an upgraded stream fail, and wakes the tasks that wait for them.
    pub(super) fn cut(&self) {
        let tasks = {
            let inner = &mut *lock(&self.inner);
            inner.machine.cut();
            [inner.reader.take(), inner.writer.take()]
        };
        // After unlocking: a woken task takes this lock.
        tasks.into_iter().flatten().for_each(Waker::wake);
    }

    /// The peer reads nothing: the connection is reset when the stream is dropped.
    pub(super) fn reset(&self) {
        self.with(Machine::reset);
    }

    /// The stream is dropped. Returns whether the connection must be reset: because the peer reads nothing, or because
    /// an orderly close would make an incomplete response look complete.
    pub(super) fn end(&self) -> bool {
        let (resets, leftover, tasks) = {
            let inner = &mut *lock(&self.inner);
            (inner.machine.end(), inner.leftover.take(), [inner.reader.take(), inner.writer.take()])
        };
        // After unlocking: dropping an `Incoming` wakes the connection's task.
        drop((leftover, tasks));
        // After the state is `Ended`. `notify_one` keeps a permit if `ended` is between its check and its wait.
        self.ended.notify_one();
        resets
    }

    /// Whether the stream was dropped before the end of this exchange's request body, as far as is known.
    pub(super) fn broke_off(&self, exchange: u64) -> bool {
        self.with(|machine| machine.state == ConnectionState::Ended && !machine.body_had_ended(exchange))
    }

    /// Waits until the stream is dropped. For one waiter: `end` notifies one.
    pub(super) async fn ended(&self) {
        while self.with(|machine| machine.state != ConnectionState::Ended) {
            self.ended.notified().await;
        }
    }

    /// The next timeout of the connection in its current state, and its cause. `None` if no timeout runs.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, TimeoutKind)> {
        self.with(|machine| machine.deadline(timeouts))
    }
}

/// Stores the waker of a task. Returns the previous one, to be dropped after unlocking: dropping a waker runs code of
/// the runtime.
fn store_waker(slot: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    if slot.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
        return None;
    }
    slot.replace(cx.waker().clone())
}

/// A request without a complete response.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Lifecycle>);

impl InFlight {
    pub(super) fn lifecycle(&self) -> &Arc<Lifecycle> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.with(Machine::hand_over);
    }
}

/// A stream of an HTTP/2 connection that a handler has taken over.
#[derive(Debug)]
pub(super) struct UpgradedStream(Arc<Lifecycle>);

impl Drop for UpgradedStream {
    fn drop(&mut self) {
        self.0.with(Machine::remove_upgraded_stream);
    }
}
