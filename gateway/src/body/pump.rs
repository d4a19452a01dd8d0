//! The runtime's side of a request body that did not end in the read-ahead: pumps it to the application.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use http_body::Body;

use crate::body::source::BodySource;
use crate::body::source::{BodyFailure, Piece};
use crate::body::uploads::UploadPermit;
use crate::pipe::{Closed, Sender, Watch};

/// Reads a request body into a bounded pipe, in a separate task, while the application reads from the pipe.
pub(crate) struct BodyPump<B> {
    source: BodySource<B>,
    /// A piece that waits for room.
    pending: Option<Piece>,
    sender: Sender<Piece, BodyFailure>,
    /// Returned once the body was received, before its reader can see the end.
    permit: Option<UploadPermit>,
}

impl<B> BodyPump<B>
where
    B: Body + Send + 'static,
{
    pub(super) fn new(
        source: BodySource<B>,
        pending: Option<Piece>,
        sender: Sender<Piece, BodyFailure>,
        permit: Option<UploadPermit>,
    ) -> Self {
        Self { source, pending, sender, permit }
    }

    /// Waits until the application asks for its body, then pumps it to the end.
    pub(crate) async fn run(mut self) {
        if std::future::poll_fn(|cx| self.sender.poll_wanted(cx)).await {
            self.source.set_asked();
        }
        std::future::poll_fn(|cx| self.poll_pump(cx)).await;
        self.source.discard();
    }

    /// Pumps until the body has ended or the pipe is closed.
    fn poll_pump(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Checked first, so that the pump ends even if the client never sends the rest of a frame.
            if self.sender.poll_closed(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.pending.is_none() {
                self.pending = std::task::ready!(self.source.poll_piece(cx));
                if let Some(end) = self.source.end() {
                    self.permit = None;
                    self.sender.end(end);
                    return Poll::Ready(());
                }
            }
            // The end is stated with the last byte: otherwise an application that has read its whole body could answer
            // before the body is marked complete, and lose the connection.
            let is_last = self.source.is_exhausted();
            if is_last {
                self.permit = None;
            }
            if let Err(Closed) = std::task::ready!(self.sender.poll_push(cx, &mut self.pending, is_last)) {
                return Poll::Ready(());
            }
            if is_last {
                self.source.end_here();
                return Poll::Ready(());
            }
        }
    }
}

/// The runtime's handle on a request body that an application may be reading. Dropping it means that the client has
/// disconnected, and wakes the reader with an error.
#[derive(Debug)]
pub(crate) struct BodyGuard {
    pipe: Option<Watch<Piece, BodyFailure>>,
}

impl BodyGuard {
    pub(crate) fn new(pipe: Watch<Piece, BodyFailure>) -> Self {
        Self { pipe: Some(pipe) }
    }

    /// Whether the whole body is in the pipe, or was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.pipe.as_ref().is_none_or(Watch::is_complete)
    }

    /// Whether the application has asked for the body.
    pub(crate) fn is_wanted(&self) -> bool {
        self.pipe.as_ref().is_some_and(Watch::is_wanted)
    }

    /// Drops the handle without a disconnect: the response is complete, and the application may read the rest.
    pub(crate) fn release(mut self) {
        self.pipe = None;
    }
}

impl Drop for BodyGuard {
    fn drop(&mut self) {
        if let Some(pipe) = &self.pipe {
            pipe.fail(BodyFailure::Disconnected);
        }
    }
}

#[cfg(all(test, not(gateway_loom)))]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use axum::body::Body;
    use bytes::Bytes;

    use super::{BodyPump, BodySource, Context, Piece};
    use crate::body::source::BodyLimits;
    use crate::body::spool::Spool;
    use crate::body::timeouts::BodyTimeouts;
    use crate::body::uploads::{UploadLimits, Uploads};
    use crate::pipe::pipe;

    /// POOL-24: the permit is free before the last byte can be read: the application may answer at once, and the client
    /// may send its next body.
    #[test]
    fn a_body_returns_its_permit_before_its_end_is_seen() {
        let uploads =
            Uploads::new(UploadLimits { streaming: 1, overflow: 0, leaves_thread: false }, Spool::builder().untested());
        let limits = BodyLimits {
            limit: 10,
            buffer: 0,
            timeouts: BodyTimeouts::new(Duration::MAX, Duration::MAX),
            ends_itself: false,
            asks_to_continue: false,
            server_lingers: true,
        };
        let source = BodySource::new(Body::from("last"), Some(4), limits);
        let (mut sender, receiver) = pipe(0);
        let cx = &mut Context::from_waker(Waker::noop());
        let first = Piece::Data(Bytes::from_static(b"first"));
        assert!(sender.poll_push(cx, &mut Some(first), false).is_ready());
        let mut pump = BodyPump::new(source, None, sender, uploads.try_permit(true));
        assert!(uploads.try_permit(true).is_none());
        // The pipe has no room for the last piece yet.
        assert!(pump.poll_pump(cx).is_pending());
        assert!(uploads.try_permit(true).is_some());
        drop(receiver);
    }
}
