//! The bytes of a response that the client has not taken when the application returns.
//!
//! Threads: pool; blocks.

use bytes::Bytes;

use crate::connection_context::{ConnectionContext, Reserved};
use crate::error::Result;
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::exchange::{Exchange, ExchangeState};
use crate::response::message::{LARGEST_FRAME, Message};
use crate::response::progress::Progress;

/// How many bytes a client may leave untaken without a reservation of server memory: many responses are smaller.
const UNRESERVED: usize = 16 * 1024;

/// The server has no memory left for the untaken bytes of a response.
pub(super) struct NoRoom;

impl Exchange {
    /// Reserves memory for bytes that the client has not taken when this thread takes its next job.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Option<Reserved>, NoRoom> {
        match self.memory() {
            Some(memory) if bytes > UNRESERVED => memory.try_reserve(bytes).map(Some).ok_or(NoRoom),
            _ => Ok(None),
        }
    }

    fn memory(&self) -> Option<&ConnectionContext> {
        self.options.context.as_ref().filter(|_| self.options.offloads)
    }

    /// Sends a body in parts, as the client takes them, because no memory could be reserved: this thread waits.
    ///
    /// # Errors
    ///
    /// The client has disconnected or takes nothing, or the deadline has passed.
    pub(super) fn send_in_parts(&self, mut body: ChunkBytes) -> Result<()> {
        if let ExchangeState { progress: Progress::Started(head, declared), .. } = &mut *self.state.borrow_mut() {
            head.set_length(body.len() as u64);
            *declared = Some(body.len() as u64);
        }
        self.send_head()?;
        while !body.is_empty() {
            // A copy: a slice would pin the whole body after this thread has taken its next job.
            let part = body.split_to(body.len().min(LARGEST_FRAME));
            self.chunk(ChunkBytes::Plain(Bytes::copy_from_slice(part.as_ref())))?;
        }
        Ok(())
    }

    /// Reserves memory for the untaken bytes, or waits until the client has taken them.
    pub(super) fn leave_to_client(&self) {
        if self.memory().is_none() {
            return;
        }
        match self.reserve(self.messages.held()) {
            Ok(None) => {}
            // Queued after its chunks, so that it is released once the client has taken them.
            Ok(Some(reserved)) => self.messages.push_free(Message::Reserved(reserved)),
            Err(NoRoom) => {
                // Whatever the result, there is nothing more to send.
                let _ = self.messages.wait_drained(UNRESERVED, self.timeouts());
            }
        }
    }
}
