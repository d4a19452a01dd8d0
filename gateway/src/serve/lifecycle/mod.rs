//! The life of a connection, shared by its stream, its requests and its timeouts.
//!
//! Threads: any; locks briefly.

mod machine;
mod state;
#[cfg(all(any(test, gateway_fuzz), not(gateway_loom)))]
pub(super) mod fuzz_tests;
#[cfg(all(any(test, gateway_fuzz), not(gateway_loom)))]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use hyper::body::Incoming;
use tokio::sync::Notify;

use self::state::ConnectionState;
use crate::serve::request_scanner::Framing;
use crate::sync::{Mutex, lock};

pub(super) use self::machine::Machine;
pub(super) use self::state::{LingerPolicy, RequestBodyState, TimeoutKind, Timeouts};

/// The [`ConnectionState`] of one connection and its wakers, behind a lock.
///
/// On HTTP/1 one task drives the stream and the responses; any thread may read a request body. On HTTP/2 each request
/// has a task of its own.
#[derive(Debug)]
pub(super) struct Lifecycle {
    inner: Mutex<LockedState>,
    /// The stream was dropped.
    ended: Notify,
    /// The current request must be the last, because its end is uncertain. Stored under the lock, and read at each poll
    /// without it.
    has_to_close: AtomicBool,
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
    /// `half_close`: a client on HTTP/1 may close its sending side and still get its response.
    pub(super) fn new(half_close: bool) -> Self {
        let inner = LockedState { machine: Machine::new(half_close), leftover: None, reader: None, writer: None };
        Self { inner: Mutex::new(inner), ended: Notify::new(), has_to_close: AtomicBool::new(false) }
    }

    /// Reads the state, or changes it.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        change(&mut lock(&self.inner).machine)
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
        self.has_to_close.load(Ordering::Acquire)
    }

    /// The request body of an exchange has trailer fields. Returns whether they are well-formed, as far as is known.
    pub(super) fn read_trailers(&self, exchange: u64) -> bool {
        self.with(|machine| {
            let has_to_close = machine.read_trailers(exchange);
            if has_to_close {
                self.has_to_close.store(true, Ordering::Release);
            }
            !has_to_close
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

    /// The task of an extended CONNECT on HTTP/2 begins. The stream is counted until the guard is dropped.
    pub(super) fn stream_upgraded(self: &Arc<Self>) -> UpgradedStream {
        self.with(Machine::add_upgraded_stream);
        UpgradedStream(Arc::clone(self))
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

    /// Waits until the stream is dropped. For one waiter: `end` notifies one.
    pub(super) async fn ended(&self) {
        while self.with(|machine| machine.state != ConnectionState::Ended) {
            self.ended.notified().await;
        }
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
