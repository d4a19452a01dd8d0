//! The messages from the application's thread to the runtime.
//!
//! Threads: any.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;

use crate::connection_context::Reserved;
use crate::log;
use crate::observe::outcome::RequestOutcome;
use crate::pipe::{Item, Receiver, Sender, Watch};
use crate::refusal::Refusal;
use crate::response::axum_body::AxumBody;
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::file::FileStream;
use crate::response::head::ResponseHead;

/// One message from the application's thread to the task that responds to the client.
///
/// A response that needs no thread any more crosses as a single [`Whole`](Message::Whole). Any other response is a
/// `Head`, then `Chunk`s, then the end that the thread states. Messages are moved several times, so large variants are
/// boxed.
#[derive(Debug)]
pub(crate) enum Message {
    /// The slot of the job, with the response in it.
    Whole(Box<dyn ResponseSlot>),
    /// The head of a body that follows in chunks, and the length it declares.
    Head(Box<ResponseHead>, Option<u64>),
    /// The head of a response without a body: to HEAD, or with a status that has none. Later messages do
    /// not reach the connection.
    Bodiless(Box<ResponseHead>),
    /// The application has no response, and nothing was sent: the gateway responds itself.
    Failure(Refusal),
    /// The head, and a file that is the body up to the declared length.
    File(Box<(ResponseHead, FileStream)>),
    /// Bytes of the body; never empty.
    Chunk(ChunkBytes),
    /// The trailers; the end comes with them.
    Trailers(Box<HeaderMap>),
    /// A reservation of server memory for the chunks before it. Pulled after them, so that it is released once the
    /// client has taken them.
    Reserved(Reserved),
}

/// A response that needs no thread any more.
#[derive(Debug)]
pub(crate) struct WholeResponse {
    pub(crate) head: ResponseHead,
    pub(crate) body: WholeBody,
}

/// A body that needs no thread any more.
#[derive(Debug)]
pub(crate) enum WholeBody {
    /// All bytes. The exchange has counted them.
    Bytes(ChunkBytes),
    /// The body of a handler's response, and the length that its head declares, or that the body knows.
    Passed(AxumBody, Option<u64>),
}

impl WholeResponse {
    /// Drops the parts one by one: both may have values of the application. A panic is caught.
    pub(crate) fn discard(self) {
        let Self { head, body } = self;
        log::panic_of!(drop(head), "the head of a response panicked when it was dropped");
        // Its bytes, or its body of axum, are contained.
        drop(body);
    }
}

/// The allocation that a thread was given for a request. It returns to the runtime with the last message, holding the
/// response: memory is cheapest to free where it was allocated.
pub(crate) trait ResponseSlot: fmt::Debug + Send {
    fn response_mut(&mut self) -> &mut Option<WholeResponse>;
}

/// The largest part of a chunk that a server gets at once. Small enough that a slow client shows progress, large enough
/// that the split costs little.
pub(crate) const LARGEST_FRAME: usize = 64 * 1024;

impl Item for Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Chunk(bytes) => bytes.len(),
            // The only message of its pipe: no other waits for its room.
            Self::Whole(_)
            | Self::Head(..)
            | Self::Bodiless(_)
            | Self::Failure(_)
            | Self::File(_)
            | Self::Trailers(_)
            | Self::Reserved(_) => 0,
        }
    }

    fn split_front(&mut self) -> Option<Self> {
        match self {
            // A copy: a slice would pin the memory of the whole chunk for as long as the server holds it.
            Self::Chunk(bytes) if bytes.len() > LARGEST_FRAME => {
                let part = bytes.split_to(LARGEST_FRAME);
                Some(Self::Chunk(ChunkBytes::Plain(Bytes::copy_from_slice(part.as_ref()))))
            }
            _ => None,
        }
    }
}

/// The thread's end. A stream that fails states the outcome on record: [`Shed`](RequestOutcome::Shed) only if its job
/// was dropped before it had begun.
pub(crate) type Messages = Sender<Message, RequestOutcome>;

/// The task's end.
pub(crate) type Inbox = Receiver<Message, RequestOutcome>;

/// A third handle on the response.
pub(crate) type ResponseWatch = Watch<Message, RequestOutcome>;
