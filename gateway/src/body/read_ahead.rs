//! The part of a request body that is read before its job is handed over.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use http_body::Body;

use crate::body::input::Input;
use crate::body::pump::BodyPump;
use crate::body::source::BodySource;
use crate::body::source::{BodyLimits, Piece};
use crate::body::spool::Spool;
use crate::body::uploads::UploadPermit;
use crate::pipe::{Items, pipe_of};
use crate::refusal::Refusal;

/// The start of a request body: a small body is read in full, so that it keeps no thread waiting and needs no pipe.
pub(crate) struct ReadAhead<B> {
    source: BodySource<B>,
    pieces: Items<Piece>,
    /// A piece that exceeded the limit.
    pending: Option<Piece>,
    declared: Option<u64>,
}

/// The rest of a request body, once the application has its start.
pub(crate) enum Rest<B> {
    /// The application gets the rest through a pump.
    Pump(BodyPump<B>),
    /// The application gets nothing more.
    Source(BodySource<B>),
}

impl<B> ReadAhead<B>
where
    B: Body + Send + 'static,
{
    pub(crate) fn new(body: B, declared: Option<u64>, limits: BodyLimits) -> Self {
        Self::of(BodySource::new(body, declared, limits), declared)
    }

    pub(crate) fn of(source: BodySource<B>, declared: Option<u64>) -> Self {
        Self { source, pieces: Items::default(), pending: None, declared }
    }

    /// Whether the application has to ask for the rest: the limit is reached, or the client waits for `100 Continue`,
    /// which it gets when the body is first polled.
    fn is_left_to_the_application(&self) -> bool {
        let is_full = self.pieces.held() >= self.source.buffer() && !self.source.is_exhausted();
        is_full || self.source.asks_to_continue()
    }

    /// Reads until the limit is reached, the next piece exceeds it, or the body has ended; reads nothing that the
    /// application has to ask for.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.pending.is_none() && !self.is_left_to_the_application() {
            let Some(piece) = std::task::ready!(self.source.poll_piece(cx)) else { break };
            if self.pieces.have_room(&piece, self.source.buffer()) {
                self.pieces.push(piece);
            } else {
                self.pending = Some(piece);
            }
        }
        Poll::Ready(())
    }

    pub(super) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Whether the body is known to exceed the limit.
    pub(crate) fn is_large(&self) -> bool {
        self.declared.is_some_and(|declared| declared > self.source.buffer() as u64)
    }

    /// Whether the body has ended, completely or not: nothing of it is left to stream.
    pub(crate) fn has_ended(&self) -> bool {
        self.source.end().is_some()
    }

    /// Splits into the application's input and the runtime's rest. The pump of the rest holds `permit`.
    pub(crate) fn split(self, permit: Option<UploadPermit>) -> (Input, Rest<B>) {
        let Self { source, pieces, pending, declared } = self;
        if source.end() == Some(Ok(())) {
            return (Input::whole(pieces, declared), Rest::Source(source));
        }
        let (mut sender, receiver) = pipe_of(pieces, source.buffer());
        let input = Input::streamed(receiver, declared);
        match source.end() {
            Some(end) => {
                sender.end(end);
                (input, Rest::Source(source))
            }
            None => (input, Rest::Pump(BodyPump::new(source, pending, sender, permit))),
        }
    }

    /// Reads the whole body, into memory up to the limit, then into a file.
    ///
    /// # Errors
    ///
    /// The response to a body that cannot be read or spooled.
    pub(crate) async fn spool(self, spool: &Spool) -> Result<(Input, BodySource<B>), Refusal> {
        let memory = self.source.buffer();
        self.spool_beyond(memory, spool).await
    }

    /// Reads the whole body into a file.
    ///
    /// # Errors
    ///
    /// As [`spool`](ReadAhead::spool).
    pub(super) async fn spool_to_disk(self, spool: &Spool) -> Result<(Input, BodySource<B>), Refusal> {
        self.spool_beyond(0, spool).await
    }

    async fn spool_beyond(mut self, memory: usize, spool: &Spool) -> Result<(Input, BodySource<B>), Refusal> {
        match self.fill_and_spool(spool, memory).await {
            Ok(input) => Ok((input, self.source)),
            Err(refusal) => {
                self.source.discard();
                Err(refusal)
            }
        }
    }

    async fn fill_and_spool(&mut self, spool: &Spool, memory: usize) -> Result<Input, Refusal> {
        let mut spooled = spool.begin(self.declared.unwrap_or(0))?;
        self.source.set_asked();
        if memory == 0 {
            // The bytes that were read ahead.
            let mut pieces = std::mem::take(&mut self.pieces);
            spooled.reserve(self.source.taken())?;
            while let Some(piece) = pieces.pop().or_else(|| self.pending.take()) {
                spooled.write(piece).await?;
            }
        }
        while let Some(piece) = std::future::poll_fn(|cx| self.source.poll_piece(cx)).await {
            // Received bytes are reserved, promised bytes are not: a client must not occupy the spool by a declared
            // length.
            spooled.reserve(self.source.taken())?;
            if memory > 0 && !spooled.has_begun() && self.pieces.have_room(&piece, memory) {
                self.pieces.push(piece);
            } else {
                spooled.write(piece).await?;
            }
        }
        if let Some(Err(failure)) = self.source.end() {
            return Err(failure.refusal());
        }
        let pieces = std::mem::take(&mut self.pieces);
        Ok(Input::whole(pieces, Some(self.source.taken())).followed_by(spooled.finish().await?))
    }
}
