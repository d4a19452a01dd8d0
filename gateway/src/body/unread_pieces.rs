//! The pieces of a request body that the application has not taken yet.
//!
//! Threads: the application's; blocks.

use crate::body::read_deadline::ReadDeadline;
use crate::body::source::{BodyFailure, Piece};
use crate::body::spool::Spooled;
use crate::error::{DeadlineExceeded, Disconnected, Error, Result};
use crate::pipe::{Items, Receiver, Watch, pipe_of};

/// Pieces in memory, then those of a pipe, and the bytes in a file before or after both.
pub(super) struct UnreadPieces {
    /// The pieces received before the application was called.
    received: Items<Piece>,
    /// The pieces that follow through a pipe.
    pipe: Option<Receiver<Piece, BodyFailure>>,
    file: Option<Box<Spooled>>,
    begins_in_file: bool,
    /// When waiting ends.
    pub(super) deadline: ReadDeadline,
}

impl UnreadPieces {
    pub(super) fn new(received: Items<Piece>, pipe: Option<Receiver<Piece, BodyFailure>>) -> Self {
        Self { received, pipe, file: None, begins_in_file: false, deadline: ReadDeadline::None }
    }

    /// Adds the bytes in a file, which come before all other pieces, or after them.
    pub(super) fn set_file(&mut self, file: Spooled, begins_in_file: bool) {
        (self.file, self.begins_in_file) = (Some(Box::new(file)), begins_in_file);
    }

    /// The gateway's handle on pieces that come through a pipe.
    pub(super) fn watch(&self) -> Option<Watch<Piece, BodyFailure>> {
        self.pipe.as_ref().map(Receiver::watch)
    }

    /// A handle that ends the body.
    pub(super) fn hold(&mut self) -> Watch<Piece, BodyFailure> {
        let pipe = self.pipe.get_or_insert_with(|| {
            let (mut sender, receiver) = pipe_of(std::mem::take(&mut self.received), usize::MAX);
            sender.end(Ok(()));
            receiver
        });
        pipe.watch()
    }

    /// The next piece, which may have to arrive first.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        if self.deadline.has_passed() {
            return Err(DeadlineExceeded.into());
        }
        if self.begins_in_file {
            // A block of the file is a piece: the request may end between two of them.
            if let Some(failure) = self.pipe.as_ref().and_then(Receiver::pull_failure) {
                return Err(self.failed(failure));
            }
            if let Some(piece) = self.next_of_file()? {
                return Ok(Some(piece));
            }
            self.begins_in_file = false;
        }
        if let Some(piece) = self.received.pop() {
            return Ok(Some(piece));
        }
        match self.pipe.as_mut().and_then(Receiver::pull) {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(failure)) => Err(self.failed(failure)),
            None => self.next_of_file(),
        }
    }

    fn next_of_file(&mut self) -> Result<Option<Piece>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        Ok(match file.read()? {
            Some(bytes) => Some(Piece::Data(bytes)),
            None => file.take_trailers().map(Piece::Trailers),
        })
    }

    fn failed(&self, failure: BodyFailure) -> Error {
        match failure {
            // At the deadline the gateway drops its side of the request: report the deadline, not a disconnect.
            BodyFailure::Disconnected if self.deadline.has_passed() => DeadlineExceeded.into(),
            BodyFailure::Disconnected => Disconnected.into(),
            BodyFailure::Broken(error) => error.into(),
        }
    }
}
