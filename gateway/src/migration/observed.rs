//! A request or response body whose beginning is recorded.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::prefix::Prefix;

/// A callback for the beginning of a body, and whether it is the whole body.
pub(super) type Pending = Box<dyn FnOnce(Bytes, bool) + Send>;

/// A body that passes unchanged, at its reader's pace, while its beginning is recorded.
///
/// The callback runs at the end of the body, or when the limit is exceeded. If the body fails, or is dropped before,
/// because the client has left, the callback is dropped without a call.
pub(super) struct Observed {
    body: Body,
    declared: Option<u64>,
    seen: Prefix,
    pending: Option<Pending>,
}

impl Observed {
    pub(super) fn new(declared: Option<u64>, body: Body, limit: usize, pending: Pending) -> Self {
        Self { body, declared, seen: Prefix::new(limit), pending: Some(pending) }
    }

    fn note(&mut self, frame: Option<&Frame<Bytes>>) {
        if self.pending.is_none() {
            return;
        }
        if let Some(data) = frame.and_then(Frame::data_ref)
            && !self.seen.add(data)
        {
            self.settle(false);
            return;
        }
        // Servers do not poll for the end of a body that they know to be complete.
        if frame.is_none() || self.body.is_end_stream() || self.seen.is_all_of(self.declared) {
            self.settle(true);
        }
    }

    fn settle(&mut self, is_whole: bool) {
        if let Some(pending) = self.pending.take() {
            pending(self.seen.take(), is_whole);
        }
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.note(None),
            Some(Ok(frame)) => self.note(Some(frame)),
            Some(Err(_)) => self.pending = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
