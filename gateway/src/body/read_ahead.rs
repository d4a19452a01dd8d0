//! The part of a request body that is read before its job is handed over.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use http_body::Body;

use crate::body::input::Input;
use crate::body::pump::BodyPump;
use crate::body::source::{BodyFailure, BodyLimits, BodySource, Piece};
use crate::body::spool::{Spool, Spooled};
use crate::body::uploads::{UploadPermit, Uploads};
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
        loop {
            // A piece may also be left by a spool that has become full.
            if let Some(piece) = self.pending.take() {
                if !self.pieces.have_room(&piece, self.source.buffer()) {
                    self.pending = Some(piece);
                    return Poll::Ready(());
                }
                self.pieces.push(piece);
            }
            if self.is_left_to_the_application() {
                return Poll::Ready(());
            }
            self.pending = std::task::ready!(self.source.poll_piece(cx));
            if self.has_ended() {
                return Poll::Ready(());
            }
        }
    }

    /// The size of the body, as far as it is known: the declared length, or the bytes received.
    pub(super) fn size(&self) -> u64 {
        self.declared.unwrap_or(0).max(self.source.taken())
    }

    /// Whether the body is known to exceed the limit.
    pub(crate) fn is_large(&self) -> bool {
        self.declared.is_some_and(|declared| declared > self.source.buffer() as u64)
    }

    /// Whether the body has ended, completely or not: nothing of it is left to stream.
    pub(crate) fn has_ended(&self) -> bool {
        self.source.end().is_some()
    }

    /// How the body ended, if it has.
    pub(super) fn end(&self) -> Option<Result<(), BodyFailure>> {
        self.source.end()
    }

    /// The body will not be read: its request is refused.
    pub(super) fn discard(self) {
        self.source.discard();
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
    /// A body of a declared length whose client waits for `100 Continue` is left to the application instead, which may
    /// respond without it, while the client has not sent it yet. Its thread then waits for the client. So such a body
    /// takes a permit of `uploads`, as a body that streams; without a free one it is spooled. A body without a declared
    /// length is spooled, because the application is to see its length.
    ///
    /// # Errors
    ///
    /// The response to a body that cannot be read or spooled.
    pub(crate) async fn spool(mut self, spool: &Spool, uploads: Option<&Uploads>) -> Result<(Input, Rest<B>), Refusal> {
        let spooled = spool.begin();
        if spooled.has_room(self.size())
            && self.declared.is_some()
            && self.source.asks_to_continue()
            && let Some(permit) = uploads.and_then(Uploads::try_unasked)
        {
            return Ok(self.split(Some(permit)));
        }
        match self.spool_whole(spooled).await {
            Ok(input) => Ok((input, Rest::Source(self.source))),
            Err(refusal) => {
                self.discard();
                Err(refusal)
            }
        }
    }

    async fn spool_whole(&mut self, mut spooled: Spooled) -> Result<Input, Refusal> {
        if !spooled.has_room(self.size()) || !self.spool_into(&mut spooled, self.source.buffer()).await? {
            return Err(spooled.refuse(self.size()));
        }
        let pieces = std::mem::take(&mut self.pieces);
        Ok(Input::whole(pieces, Some(self.source.taken())).followed_by(spooled.finish().await?))
    }

    /// Reads the body to its end, into memory up to `memory` bytes, then into the file of `spooled`. Returns whether
    /// the spool had room for the whole body. If not, a part is spooled, and the received rest is in memory.
    ///
    /// # Errors
    ///
    /// The response to a body that cannot be read or written.
    pub(super) async fn spool_into(&mut self, spooled: &mut Spooled, memory: usize) -> Result<bool, Refusal> {
        self.source.set_asked();
        loop {
            // Received bytes are reserved, promised bytes are not: a client must not occupy the spool by a declared
            // length.
            if !spooled.reserve(self.source.taken()) {
                return Ok(false);
            }
            if memory == 0 {
                while let Some(piece) = self.pieces.pop() {
                    spooled.write(piece).await?;
                }
            }
            if let Some(piece) = self.pending.take() {
                if memory > 0 && !spooled.has_begun() && self.pieces.have_room(&piece, memory) {
                    self.pieces.push(piece);
                } else {
                    spooled.write(piece).await?;
                }
            }
            self.pending = std::future::poll_fn(|cx| self.source.poll_piece(cx)).await;
            match self.source.end() {
                Some(Ok(())) => return Ok(true),
                Some(Err(failure)) => return Err(failure.refusal()),
                None => {}
            }
        }
    }
}
