//! The part of a response that the client has not taken when the application returns.
//!
//! Threads: pool; blocks.

use bytes::Bytes;

use crate::connection_context::Reserved;
use crate::response::exchange::Exchange;
use crate::response::head::ResponseHead;
use crate::response::message::{LARGEST_FRAME, Message};

/// How many bytes a response may leave to a client that has not taken them without memory of the server: many responses
/// are smaller, and need none.
const UNRESERVED: usize = 16 * 1024;

/// The server has no memory for a response that its client has not taken.
pub(super) struct NoRoom;

impl Exchange {
    /// Takes memory for bytes that the client has not taken when this thread goes on.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Option<Reserved>, NoRoom> {
        match &self.memory {
            Some(memory) if bytes > UNRESERVED => memory.try_reserve(bytes).map(Some).ok_or(NoRoom),
            _ => Ok(None),
        }
    }

    /// Sends a body for which there is no memory beside this thread: in parts, as the client takes them.
    pub(super) fn send_in_parts(&mut self, mut head: ResponseHead, mut body: Bytes) {
        let length = body.len() as u64;
        head.set_length(length);
        let mut sent = self.send(Message::Head(Box::new(head), Some(length)));
        while sent.is_ok() && !body.is_empty() {
            // A copy: a part of the bytes would keep all of their memory after this thread has gone on.
            let part = Bytes::copy_from_slice(&body.split_to(body.len().min(LARGEST_FRAME)));
            sent = self.send(Message::Chunk(part));
        }
        // A client that has gone, or takes nothing until the deadline, gets a message that is broken off.
        if sent.is_ok() {
            self.leave_to_client();
            self.messages.finish();
        }
    }

    /// Sees to it that what the client has not taken has memory beside this thread, or is taken before this thread goes
    /// on.
    pub(super) fn leave_to_client(&self) {
        if self.memory.is_none() {
            return;
        }
        match self.reserve(self.messages.held()) {
            Ok(None) => {}
            // Queued after the chunks that it covers, so that it is released when they are taken.
            Ok(Some(reserved)) => self.messages.push_free(Message::Reserved(reserved)),
            Err(NoRoom) => {
                // However the wait ends, there is nothing more to send.
                let _ = self.messages.wait_drained(UNRESERVED, self.write_stall, self.time_left());
            }
        }
    }
}
