//! The request body as it is received.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;

use crate::body::discard::discard_in_task;
use crate::body::timeouts::BodyTimeouts;
use crate::error::InputError;
use crate::pipe::Item;
use crate::refusal::Refusal;

/// Why a request body is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BodyFailure {
    /// The client has disconnected.
    #[default]
    Disconnected,
    /// The body itself is invalid, too large or too late.
    Broken(InputError),
}

impl BodyFailure {
    /// The response, if nothing has been sent yet.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Disconnected => Refusal::CLIENT_GONE,
            Self::Broken(error) => Refusal::of_body(error),
        }
    }
}

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The fields after the last byte.
    Trailers(Box<HeaderMap>),
}

impl Item for Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            Self::Trailers(fields) => fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
        }
    }
}

/// The limits of a request body.
pub(crate) struct BodyLimits {
    /// The largest body, in bytes.
    pub(crate) limit: u64,
    /// The most bytes to hold while the application does not read.
    pub(crate) buffer: usize,
    pub(crate) timeouts: BodyTimeouts,
    /// The server reports the end of the body, even after its declared length: as on HTTP/2, where trailers may follow.
    pub(crate) ends_itself: bool,
    /// The client waits for `100 Continue`; the first read sends it.
    pub(crate) asks_to_continue: bool,
    /// The server discards the unread rest of the body itself.
    pub(crate) server_lingers: bool,
}

/// A request body that is read piece by piece, within its limits.
pub(crate) struct BodySource<B> {
    body: Pin<Box<B>>,
    /// The rest of the declared length, counted here rather than trusted to the server.
    remaining: Option<u64>,
    /// The bytes received.
    taken: u64,
    limits: BodyLimits,
    /// How the body ended.
    end: Option<Result<(), BodyFailure>>,
}

/// Frames smaller than this are copied: a slice would pin hyper's read buffer of some kilobytes, which the body's limit
/// does not count.
const SMALL: usize = 4096;

impl<B> BodySource<B>
where
    B: Body + Send + 'static,
{
    pub(crate) fn new(body: B, declared: Option<u64>, limits: BodyLimits) -> Self {
        Self { body: Box::pin(body), remaining: declared, taken: 0, limits, end: None }
    }

    pub(super) fn buffer(&self) -> usize {
        self.limits.buffer
    }

    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// The rest of the declared length.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// How the body ended, if it has.
    pub(crate) fn end(&self) -> Option<Result<(), BodyFailure>> {
        self.end
    }

    /// Whether the last declared byte was received, and nothing can follow it.
    pub(super) fn is_exhausted(&self) -> bool {
        self.remaining == Some(0) && !self.limits.ends_itself
    }

    pub(super) fn end_here(&mut self) {
        self.end = Some(Ok(()));
    }

    /// Whether the client waits for `100 Continue`.
    pub(super) fn asks_to_continue(&self) -> bool {
        self.limits.asks_to_continue
    }

    /// The client has been asked for its body.
    pub(super) fn set_asked(&mut self) {
        self.limits.asks_to_continue = false;
    }

    /// The next piece. `None` is the end or a failure; later calls return it again.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        let end = match std::task::ready!(self.poll_frame(cx)) {
            Some(Ok(piece)) => return Poll::Ready(Some(piece)),
            Some(Err(failure)) => Err(failure),
            None => Ok(()),
        };
        self.end = Some(end);
        Poll::Ready(None)
    }

    /// Discards the rest of the body, once no application reads it.
    pub(crate) fn discard(self) {
        let goes_on = match self.end {
            None | Some(Err(BodyFailure::Broken(InputError::TooLarge { .. }))) => true,
            // The body has ended, its end is unknown, or the client has stopped sending.
            Some(_) => false,
        };
        if goes_on && !self.limits.server_lingers && !self.limits.ends_itself && !self.limits.asks_to_continue {
            discard_in_task(self.body, self.remaining);
        }
    }

    /// The next piece, counted. `None` is the declared end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyFailure>>> {
        // The last declared byte is the end. hyper does not report it on HTTP/1 once the response is complete.
        if self.is_exhausted() {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
                std::task::ready!(self.limits.timeouts.poll_timed_out(cx));
                return Poll::Ready(Some(Err(BodyFailure::Broken(InputError::TimedOut))));
            };
            self.limits.timeouts.end_wait();
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyFailure::Broken(InputError::Incomplete)))),
                None if self.remaining.unwrap_or(0) > 0 => {
                    return Poll::Ready(Some(Err(BodyFailure::Broken(InputError::Incomplete))));
                }
                None => return Poll::Ready(None),
            };
            let mut data = match frame.into_data() {
                Ok(data) => data,
                Err(other) => match other.into_trailers() {
                    Ok(fields) => return Poll::Ready(Some(Ok(Piece::Trailers(Box::new(fields))))),
                    Err(_) => continue,
                },
            };
            let mut bytes = data.copy_to_bytes(data.remaining());
            if bytes.len() < SMALL {
                bytes = Bytes::copy_from_slice(&bytes);
            }
            let (length, limit) = (bytes.len() as u64, self.limits.limit);
            if length > limit - self.taken {
                return Poll::Ready(Some(Err(BodyFailure::Broken(InputError::TooLarge { limit }))));
            }
            self.taken += length;
            if let Some(remaining) = &mut self.remaining {
                *remaining = remaining.saturating_sub(length);
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Piece::Data(bytes))));
            }
        }
    }
}
