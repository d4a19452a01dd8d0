//! The streams of an HTTP/2 connection, each in a task.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use hyper::rt::Executor;
use hyper::server::conn::http2;
use pin_project_lite::pin_project;
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::log;
use crate::pool::drivers::local;
use crate::serve::lifecycle::Lifecycle;
use crate::sync::{Mutex, lock};

/// How many bytes of a request body a peer may send before the handler reads. The window of the connection has room for
/// all streams at once, so that a body which is not read does not block other streams (RFC 9113 §5.2.2).
const STREAM_WINDOW: u32 = 128 * 1024;

/// The largest window of a connection (RFC 9113 §6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// The size of a header list, as h2 counts, above which h2 refuses it. The handler's limit, the one of HTTP/1, is
/// lower: it answers 431 on the stream, whereas h2 may have to end the connection.
const HEADER_LIST: u32 = 1024 * 1024;

/// A builder of HTTP/2 connections whose tasks this executor spawns.
pub(super) fn builder(max_concurrent_streams: u32, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let connection_window = STREAM_WINDOW.saturating_mul(max_concurrent_streams.saturating_add(1));
    let mut builder = http2::Builder::new(executor);
    builder
        .max_concurrent_streams(max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window.min(LARGEST_WINDOW))
        .max_header_list_size(HEADER_LIST)
        // For WebSockets.
        .enable_connect_protocol();
    builder
}

/// The write timeout of one stream. It runs while the stream waits for its peer.
#[derive(Debug)]
pub(super) struct WriteTimeout {
    write_stall: Duration,
    waits: Mutex<Waits>,
}

#[derive(Debug, Clone, Copy)]
enum Waits {
    /// For the handler's response, or its next chunk.
    ForHandler,
    /// For the peer, since a frame was handed to hyper. Ends when hyper polls the body for the next frame: hyper holds
    /// at most one.
    ForPeer { since: Instant },
}

impl WriteTimeout {
    pub(super) fn new(write_stall: Duration) -> Self {
        Self { write_stall, waits: Mutex::new(Waits::ForHandler) }
    }

    pub(super) fn wait_for_handler(&self) {
        *lock(&self.waits) = Waits::ForHandler;
    }

    pub(super) fn wait_for_peer(&self) {
        *lock(&self.waits) = Waits::ForPeer { since: Instant::now() };
    }

    /// When the write timeout expires; `None` while it does not run.
    fn deadline(&self) -> Option<Instant> {
        match *lock(&self.waits) {
            Waits::ForHandler => None,
            Waits::ForPeer { since } => Some(since + self.write_stall),
        }
    }
}

/// Spawns the tasks of one connection's streams.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    lifecycle: Arc<Lifecycle>,
    write_stall: Duration,
    /// The last stream whose request was handed to the service, until its task is spawned.
    next: Arc<Mutex<Option<NextStream>>>,
}

/// A stream whose task is not spawned yet.
#[derive(Debug)]
struct NextStream {
    /// The thread that has handed the request to the service, and spawns the task in the same poll.
    thread: ThreadId,
    write_timeout: Arc<WriteTimeout>,
}

impl StreamExecutor {
    pub(super) fn new(lifecycle: Arc<Lifecycle>, write_stall: Duration) -> Self {
        Self { lifecycle, write_stall, next: Arc::default() }
    }

    /// A write timeout for the stream whose request is being handed to the service. For each stream, hyper first calls
    /// the service, then spawns the task of the stream.
    pub(super) fn next_stream(&self) -> Arc<WriteTimeout> {
        let write_timeout = Arc::new(WriteTimeout::new(self.write_stall));
        *lock(&self.next) =
            Some(NextStream { thread: thread::current().id(), write_timeout: Arc::clone(&write_timeout) });
        write_timeout
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        // Race: when a handler takes over a stream, the task of that stream calls `execute` from another thread,
        // possibly between the service call and the spawn of another stream. The thread distinguishes the two.
        let next = lock(&self.next).take_if(|next| next.thread == thread::current().id());
        match next {
            Some(NextStream { write_timeout, .. }) => local::spawn(StreamTask { task, write_timeout, timer: None }),
            // Without a service call before it, the task sends the output of an upgraded stream, which is counted until
            // the task ends.
            None => {
                let stream = self.lifecycle.stream_upgraded();
                local::spawn(async move {
                    let _counted = stream;
                    task.await;
                });
            }
        }
    }
}

pin_project! {
    /// The task of a stream. It ends at the write timeout; hyper resets a stream whose task ends early.
    struct StreamTask<F> {
        #[pin]
        task: F,
        write_timeout: Arc<WriteTimeout>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.task.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = this.write_timeout.deadline() else {
            *this.timer = None;
            return Poll::Pending;
        };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        std::task::ready!(timer.as_mut().poll(cx));
        log::debug!("the peer takes nothing of a response on HTTP/2; its stream is reset");
        Poll::Ready(())
    }
}
