//! What crosses the hop back.
//!
//! Threads: any.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::connection_context::Reserved;
use crate::pipe::{Item, Receiver, Sender};
use crate::response::body::Aborted;
use crate::response::file::FileStream;
use crate::response::head::ResponseHead;

/// One message from the application's thread to the task that answers the client.
///
/// A response whose body is known crosses as a single [`Whole`](Message::Whole). Any other is a `Head`, then `Chunk`s,
/// then the end that the thread says. Messages are small, as they are moved a few times; what is large in them has a
/// box.
#[derive(Debug)]
pub(crate) enum Message {
    /// What the thread was given, with the answer in it.
    Whole(Box<dyn AnswerSlot>),
    /// The head of a body that follows in chunks, and the length it declares.
    Head(Box<ResponseHead>, Option<u64>),
    /// The head of a response without a body: to HEAD, or with a status that has none. Whatever follows concerns the
    /// connection no more.
    Bodiless(Box<ResponseHead>),
    /// There is no response of the application's, and nothing has gone: the gateway answers with this status.
    Failure(StatusCode),
    /// The head, and a file whose first bytes are the body: so many as the head declares.
    File(Box<(ResponseHead, FileStream)>),
    /// Bytes of the body; never empty.
    Chunk(Bytes),
    /// What follows the last chunk; the end comes with it.
    Trailers(Box<HeaderMap>),
    /// The reservation of server memory for the chunks before it. Pulled after them, so that it is released when they
    /// are taken.
    Reserved(Reserved),
}

/// A response whose body is known.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    /// All of it. Its length is the true one: the exchange has counted.
    pub(crate) body: Bytes,
}

/// What a thread was given for a request. With the last message it goes back to the runtime, with the answer in it:
/// memory is freed most cheaply where it was allocated.
pub(crate) trait AnswerSlot: fmt::Debug + Send {
    fn answer(&self) -> Option<&Answer>;

    fn answer_mut(&mut self) -> &mut Option<Answer>;
}

/// How much of a chunk a server is given at once. Small enough that a slow client is seen to make progress, large
/// enough to cost nothing.
pub(crate) const LARGEST_FRAME: usize = 64 * 1024;

impl Item for Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Whole(slot) => slot.answer().map_or(0, |answer| answer.body.len()),
            Self::Chunk(bytes) => bytes.len(),
            Self::Head(..)
            | Self::Bodiless(_)
            | Self::Failure(_)
            | Self::File(_)
            | Self::Trailers(_)
            | Self::Reserved(_) => 0,
        }
    }

    fn split_front(&mut self) -> Option<Self> {
        match self {
            // A copy: a part of the bytes would keep all of their memory for as long as the server has it.
            Self::Chunk(bytes) if bytes.len() > LARGEST_FRAME => {
                Some(Self::Chunk(Bytes::copy_from_slice(&bytes.split_to(LARGEST_FRAME))))
            }
            _ => None,
        }
    }
}

/// The thread's end.
pub(crate) type Messages = Sender<Message, Aborted>;

/// The task's end.
pub(crate) type Inbox = Receiver<Message, Aborted>;
