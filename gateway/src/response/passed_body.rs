//! The body of a handler's response, which needs no thread.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::log::{self, Span};
use crate::observe::outcome::RequestOutcome;
use crate::response::message::LARGEST_FRAME;

/// A body of axum, in parts of at most [`LARGEST_FRAME`] bytes.
pub(crate) struct PassedBody {
    body: Body,
    /// The rest of a larger frame.
    rest: Bytes,
    /// For the log event of a failure.
    span: Span,
}

impl PassedBody {
    pub(crate) fn new(body: Body, span: Span) -> Self {
        Self { body, rest: Bytes::new(), span }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match (self.rest.len() as u64, self.body.size_hint().exact()) {
            (rest, Some(length)) => SizeHint::with_exact(rest + length),
            (_, None) => SizeHint::default(),
        }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => {
                    self.span.in_scope(|| log::error!(%error, "the body of a response failed; it was broken off"));
                    return Poll::Ready(Some(Err(RequestOutcome::Aborted)));
                }
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(self.rest.len().min(LARGEST_FRAME))))))
    }
}
