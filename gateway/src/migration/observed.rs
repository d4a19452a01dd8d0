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
pub(super) type OnRecorded = Box<dyn FnOnce(Bytes, bool) + Send>;

/// A body that passes unchanged, at its reader's pace, while its beginning is recorded.
///
/// The callback runs at the end of the body, or when the limit is exceeded. If the body fails, or is dropped before,
/// because the client has disconnected, the callback is dropped without a call.
pub(super) struct ObservedBody {
    body: Body,
    declared: Option<u64>,
    recorded: Prefix,
    on_recorded: Option<OnRecorded>,
}

impl ObservedBody {
    pub(super) fn new(declared: Option<u64>, body: Body, limit: usize, on_recorded: OnRecorded) -> Self {
        Self { body, declared, recorded: Prefix::new(limit), on_recorded: Some(on_recorded) }
    }

    fn record(&mut self, frame: Option<&Frame<Bytes>>) {
        if self.on_recorded.is_none() {
            return;
        }
        if let Some(data) = frame.and_then(Frame::data_ref)
            && !self.recorded.add(data)
        {
            self.finish(false);
            return;
        }
        // Servers do not poll for the end of a body that they know to be complete.
        if frame.is_none() || self.body.is_end_stream() || self.recorded.is_all_of(self.declared) {
            self.finish(true);
        }
    }

    fn finish(&mut self, is_whole: bool) {
        if let Some(on_recorded) = self.on_recorded.take() {
            on_recorded(self.recorded.take(), is_whole);
        }
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.record(None),
            Some(Ok(frame)) => self.record(Some(frame)),
            Some(Err(_)) => self.on_recorded = None,
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
