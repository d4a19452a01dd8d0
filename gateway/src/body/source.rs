//! The request body as it comes in.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;

use crate::body::discard::drain;
use crate::body::timeouts::BodyTimeouts;
use crate::error::InputError;
use crate::pipe::Item;

/// Why a request body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BodyFailure {
    /// The client has gone.
    #[default]
    Disconnected,
    /// The body itself is at fault.
    Broken(InputError),
}

/// What a body is made of.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// What came after the last byte.
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

/// What a mount grants a request body.
pub(crate) struct BodyLimits {
    /// The most bytes.
    pub(crate) limit: u64,
    /// The most bytes to hold for an application that does not read.
    pub(crate) buffer: usize,
    pub(crate) timeouts: BodyTimeouts,
    /// The server says where the body ends, even after its declared length: as on HTTP/2, where trailers may follow.
    pub(crate) ends_itself: bool,
    /// The client sends nothing before it is asked to, and reading asks it.
    pub(crate) asks_to_continue: bool,
    /// The server discards the unread rest of the body itself.
    pub(crate) server_lingers: bool,
}

/// A request body that is read piece by piece, counted, and waited for with timeouts.
pub(crate) struct Source<B> {
    body: Pin<Box<B>>,
    /// What is left of the declared length; the bytes are counted here, whatever the server below believes.
    remaining: Option<u64>,
    /// How many bytes have come.
    taken: u64,
    limits: BodyLimits,
    /// How the body has ended.
    end: Option<Result<(), BodyFailure>>,
}

/// Frames smaller than this are copied: a slice would pin hyper's read buffer of some kilobytes, which the body's limit
/// does not count.
const SMALL: usize = 4096;

impl<B> Source<B>
where
    B: Body + Send + 'static,
{
    pub(super) fn new(body: B, declared: Option<u64>, limits: BodyLimits) -> Self {
        Self { body: Box::pin(body), remaining: declared, taken: 0, limits, end: None }
    }

    /// The most bytes to hold for an application that does not read.
    pub(super) fn buffer(&self) -> usize {
        self.limits.buffer
    }

    /// How many bytes have come.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// How the body has ended, if it has.
    pub(super) fn end(&self) -> Option<Result<(), BodyFailure>> {
        self.end
    }

    /// Whether the last declared byte has come, and nothing can follow it.
    pub(super) fn is_exhausted(&self) -> bool {
        self.remaining == Some(0) && !self.limits.ends_itself
    }

    /// Takes the body for complete.
    pub(super) fn end_here(&mut self) {
        self.end = Some(Ok(()));
    }

    /// The client waits to be asked for its body.
    pub(super) fn asks_to_continue(&self) -> bool {
        self.limits.asks_to_continue
    }

    /// The client has been asked for its body.
    pub(super) fn asks(&mut self) {
        self.limits.asks_to_continue = false;
    }

    /// The next piece. `None` is the end, of whatever kind; it is given again and again.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
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

    /// Reads on for nobody, when there is no application to feed any more.
    pub(crate) fn drain(self) {
        let goes_on = match self.end {
            None | Some(Err(BodyFailure::Broken(InputError::TooLarge { .. }))) => true,
            // It is over, or nobody knows where it ends, or it has been waited for in vain.
            Some(_) => false,
        };
        if goes_on && !self.limits.server_lingers && !self.limits.ends_itself && !self.limits.asks_to_continue {
            drain(self.body, self.remaining);
        }
    }

    /// The next piece, counted. `None` is an end that is where it was declared to be.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyFailure>>> {
        // The last declared byte is the end. hyper does not say so on HTTP/1 once the response is complete.
        if self.is_exhausted() {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
                std::task::ready!(self.limits.timeouts.poll_lost(cx));
                return Poll::Ready(Some(Err(BodyFailure::Broken(InputError::TimedOut))));
            };
            self.limits.timeouts.rest();
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
