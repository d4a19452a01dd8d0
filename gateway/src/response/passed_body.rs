//! The body of a handler's response, which needs no thread.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::log::{self, Span};
use crate::observe::outcome::RequestOutcome;
use crate::response::axum_body::AxumBody;
use crate::response::message::LARGEST_FRAME;
use crate::timer::Timer;

/// A body of axum, in parts of at most [`LARGEST_FRAME`] bytes. It has exactly the length of its head, if the head
/// declares one, and ends at its deadline.
pub(crate) struct PassedBody {
    state: PassedState,
    /// When the message is broken off.
    deadline: Option<Timer>,
    /// For the log events of a failure.
    span: Span,
}

enum PassedState {
    /// The body makes the next frame.
    Reading(Source),
    /// The rest of a frame that is larger than [`LARGEST_FRAME`]; the body makes more.
    Splitting(Bytes, Source),
    /// The last bytes of the message. The body has ended, or is cut.
    Finishing(Bytes),
    /// The server has the whole message, whether or not it polls for the end.
    Complete,
    /// The message has failed.
    BrokenOff(RequestOutcome),
}

/// The body, and what it has left.
struct Source {
    body: AxumBody,
    /// The rest of the declared length.
    remaining: Option<u64>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, RequestOutcome>>>;

impl PassedBody {
    /// `length` is the one that the head declares, or that the body knows.
    pub(crate) fn new(body: AxumBody, length: Option<u64>, deadline: Option<Timer>, span: Span) -> Self {
        let state = match length {
            Some(0) => PassedState::Complete,
            remaining => PassedState::Reading(Source { body, remaining }),
        };
        Self { state, deadline, span }
    }

    /// Whether the server has the whole message.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, PassedState::Complete)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let left = match &self.state {
            PassedState::Reading(source) => source.remaining,
            PassedState::Splitting(rest, source) => source.remaining.map(|remaining| remaining + rest.len() as u64),
            PassedState::Finishing(rest) => Some(rest.len() as u64),
            PassedState::Complete => Some(0),
            PassedState::BrokenOff(_) => None,
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// The whole body, if its length is known and small, and it gives all of it at once, as a text does: it is sent as
    /// plain bytes. Otherwise the next poll gives what the body has given here.
    pub(crate) fn take_whole(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        let PassedState::Reading(Source { remaining: Some(length), .. }) = &self.state else {
            return self.is_complete().then(Bytes::new);
        };
        if *length > LARGEST_FRAME as u64 {
            return None;
        }
        let bytes = match self.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok()?,
            // A failure is the state, which the next poll reports.
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return None,
        };
        match std::mem::replace(&mut self.state, PassedState::Complete) {
            PassedState::Complete => Some(bytes),
            PassedState::Reading(source) => {
                self.state = PassedState::Splitting(bytes, source);
                None
            }
            // A frame of this size has no parts.
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        // A state that is not set again is the failure.
        match std::mem::replace(&mut self.state, PassedState::BrokenOff(RequestOutcome::Aborted)) {
            PassedState::Reading(source) => self.read(source, cx),
            PassedState::Splitting(rest, source) => self.give_if_in_time(rest, source, cx),
            PassedState::Finishing(rest) => self.finish(rest),
            PassedState::Complete => self.complete(None),
            PassedState::BrokenOff(outcome) => self.break_off(outcome),
        }
    }

    fn read(&mut self, mut source: Source, cx: &mut Context<'_>) -> Polled {
        let frame = match source.body.poll_frame(cx) {
            Poll::Pending => return self.wait(source, cx),
            Poll::Ready(None) => None,
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            Poll::Ready(Some(Err(error))) => {
                self.span.in_scope(|| log::error!(error, "the body of a response failed; it was broken off"));
                return self.break_off(RequestOutcome::Aborted);
            }
        };
        let trailers = match frame.map(Frame::into_data) {
            Some(Ok(bytes)) => return self.take(bytes, source, cx),
            Some(Err(frame)) => frame.into_trailers().ok(),
            None => None,
        };
        match source.remaining {
            Some(missing @ 1..) => {
                self.span.in_scope(|| {
                    log::error!(missing, "the body of a response ended before its declared Content-Length");
                });
                self.break_off(RequestOutcome::Aborted)
            }
            Some(0) | None => self.complete(trailers),
        }
    }

    /// Counts a frame of the body.
    fn take(&mut self, mut bytes: Bytes, mut source: Source, cx: &mut Context<'_>) -> Polled {
        if bytes.is_empty() {
            // The server polls again, after other tasks: an endless row of empty frames must not hold the runtime up.
            cx.waker().wake_by_ref();
            return self.wait(source, cx);
        }
        if let Some(remaining) = &mut source.remaining {
            let excess = bytes.split_off(usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len()));
            *remaining -= bytes.len() as u64;
            if !excess.is_empty() {
                self.span.in_scope(|| {
                    log::warn!(
                        bytes = excess.len(),
                        "the body of a response has more than its Content-Length; the rest was dropped"
                    );
                });
            }
        }
        // With its last byte a message is complete, whatever follows. A body without a length may say that it has
        // ended; if it does so too early, its next frame tells what is missing.
        let is_last = source.remaining.map_or_else(|| source.body.has_ended(), |remaining| remaining == 0);
        if is_last { self.finish(bytes) } else { self.give_if_in_time(bytes, source, cx) }
    }

    /// Waits for the body, until the deadline if there is one.
    fn wait(&mut self, source: Source, cx: &mut Context<'_>) -> Polled {
        if self.is_late(cx) {
            return self.break_off(RequestOutcome::Deadline);
        }
        self.state = PassedState::Reading(source);
        Poll::Pending
    }

    /// Gives a part of the bytes, of which more follow. At the deadline the message is broken off, even if the body
    /// always has another frame.
    fn give_if_in_time(&mut self, mut rest: Bytes, source: Source, cx: &mut Context<'_>) -> Polled {
        if self.is_late(cx) {
            return self.break_off(RequestOutcome::Deadline);
        }
        let part = split_part(&mut rest);
        self.state = if rest.is_empty() { PassedState::Reading(source) } else { PassedState::Splitting(rest, source) };
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    /// Gives a part of the last bytes, for which no deadline counts: they are here, as those of an application are that
    /// has returned.
    fn finish(&mut self, mut rest: Bytes) -> Polled {
        let part = split_part(&mut rest);
        self.state = if rest.is_empty() { PassedState::Complete } else { PassedState::Finishing(rest) };
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn complete(&mut self, trailers: Option<HeaderMap>) -> Polled {
        self.state = PassedState::Complete;
        Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let is_late = self.deadline.as_mut().is_some_and(|deadline| deadline.poll(cx).is_ready());
        if is_late {
            self.span.in_scope(|| log::warn!("the body of a response did not meet its deadline; it was broken off"));
        }
        is_late
    }

    fn break_off(&mut self, outcome: RequestOutcome) -> Polled {
        self.state = PassedState::BrokenOff(outcome);
        Poll::Ready(Some(Err(outcome)))
    }
}

/// The next part, small enough for a server to show progress.
fn split_part(rest: &mut Bytes) -> Bytes {
    rest.split_to(rest.len().min(LARGEST_FRAME))
}
