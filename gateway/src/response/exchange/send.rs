//! Sending a message of a response, and the reasons why it is not sent.
//!
//! Threads: pool; blocks.

use std::time::{Duration, Instant};

use crate::connection_context::ConnectionContext;
use crate::error::{DeadlineExceeded, Disconnected, Error, Result};
use crate::observe::outcome::RequestOutcome;
use crate::pipe::{NotPushed, SendTimeouts};
use crate::response::exchange::Exchange;
use crate::response::message::Message;
use crate::response::progress::Progress;

impl Exchange {
    /// Sends the message with the head. Only then is the progress `sent`: a head that was refused, because the deadline
    /// has passed or the client is gone, is not sent, and its failure can still be a clean response.
    pub(super) fn send_first(&self, message: Message, sent: Progress) -> Result<()> {
        if sent.is_complete() {
            self.note_run();
        }
        let (message, error) = match self.try_send(message) {
            Ok(()) => {
                self.state.borrow_mut().progress = sent;
                return Ok(());
            }
            Err(refused) => refused,
        };
        let head = match message {
            Message::Head(head, _) | Message::Bodiless(head) => Some(*head),
            Message::File(file) => Some(file.0),
            // No other message begins a response.
            _ => None,
        };
        if let Some(head) = head {
            // The declared length has no use any more.
            self.state.borrow_mut().progress = Progress::Started(head, None);
        }
        Err(error)
    }

    pub(super) fn send(&self, message: Message) -> Result<()> {
        self.try_send(message).map_err(|(_, error)| error)
    }

    /// Sends a message, or returns it with the reason why it was not sent.
    pub(super) fn try_send(&self, message: Message) -> Result<(), (Message, Error)> {
        let timeouts = self.timeouts();
        if timeouts.total.0.is_zero() {
            return Err((message, DeadlineExceeded.into()));
        }
        self.messages.push(message, timeouts).map_err(|NotPushed(message)| (message, self.client_gone()))
    }

    /// The error of an application that goes on when the client gets no more bytes.
    pub(super) fn client_gone(&self) -> Error {
        // At the deadline the future and the body close the pipe: report the deadline, not a disconnect.
        if self.is_late() {
            return DeadlineExceeded.into();
        }
        self.state.borrow_mut().knows_client_gone = true;
        Disconnected.into()
    }

    /// Checks whether a client still waits, for a write that sends nothing: an application that writes without an end
    /// has to learn that its client is gone. Bytes of a response without a body are dropped for as long as a client may
    /// take nothing of a body.
    pub(super) fn check_recipient(&self, is_empty: bool) -> Result<()> {
        let is_gone = match &mut self.state.borrow_mut().progress {
            Progress::Bodiless { since, .. } => {
                let now = Instant::now();
                let waited = now.saturating_duration_since(*since.get_or_insert(now));
                let is_closed = self.options.context.as_ref().is_some_and(ConnectionContext::is_closed);
                is_closed || waited >= self.options.write_stall || self.is_late()
            }
            // Bytes are sent, which finds out.
            _ if !is_empty => false,
            progress => !progress.is_complete() && (self.messages.is_closed() || self.is_late()),
        };
        if is_gone { Err(self.client_gone()) } else { Ok(()) }
    }

    /// How long to wait for the client.
    pub(super) fn timeouts(&self) -> SendTimeouts<RequestOutcome> {
        let left =
            self.options.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        SendTimeouts {
            stall: (self.options.write_stall, RequestOutcome::ClientGone),
            total: (left, RequestOutcome::Deadline),
        }
    }

    /// Checks the deadline, for a step that sends nothing.
    ///
    /// # Errors
    ///
    /// The deadline has passed.
    pub(crate) fn check_in_time(&self) -> Result<()> {
        if self.is_late() { Err(DeadlineExceeded.into()) } else { Ok(()) }
    }

    pub(super) fn is_late(&self) -> bool {
        self.options.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
