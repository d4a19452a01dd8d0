//! The end of a response, as a success or a failure.
//!
//! Threads: pool; blocks.

use crate::error::{ContractError, Result};
use crate::observe::outcome::RequestOutcome;
use crate::refusal::Refusal;
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::exchange::untaken::NoRoom;
use crate::response::exchange::{Exchange, ExchangeState};
use crate::response::known_length::contradiction;
use crate::response::message::{Message, ResponseSlot, WholeBody, WholeResponse};
use crate::response::progress::Progress;

impl Exchange {
    /// Sends a message whose length is known by now, before the application closes its chunks, which may take time and
    /// cannot change the message. A message that ends with a marker of its own is left as it is, and so is one that
    /// [`check_complete`](Exchange::check_complete) will refuse.
    ///
    /// # Errors
    ///
    /// The client has disconnected, or the deadline has passed.
    pub(crate) fn deliver_known(&self) -> Result<()> {
        let unwanted = {
            let state = &mut *self.state.borrow_mut();
            let ExchangeState { progress, held, trailers, poisoned: None, .. } = state else { return Ok(()) };
            let Progress::Started(head, declared) = progress else { return Ok(()) };
            let length = held.len() as u64;
            if self.options.head_request || head.forbids_body() {
                // As in `complete`.
                if declared.is_none() && length > 0 && !head.forbids_body() {
                    head.set_length(length);
                }
                Some(std::mem::take(held))
            } else if declared.is_some_and(|declared| declared != length) || declared.is_none() && trailers.is_some() {
                return Ok(());
            } else {
                head.set_length(length);
                *declared = Some(length);
                None
            }
        };
        // Outside the borrow: the destructor of an owner may use a handle on this response.
        drop(unwanted);
        self.send_head()
    }

    /// Checks whether the response may end as a success, now that the application has.
    ///
    /// # Errors
    ///
    /// Returns why it may not.
    pub(crate) fn check_complete(&self) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        if let Some(poisoned) = state.poisoned.take() {
            return Err(poisoned);
        }
        let problem = match &state.progress {
            Progress::NotStarted => return Err(state.not_started("ended").into()),
            Progress::Sent { remaining: Some(missing @ 1..) } => {
                format!("the body ended {missing} bytes before its declared Content-Length")
            }
            Progress::Started(head, Some(declared))
                if *declared != state.held.len() as u64 && !self.options.head_request && !head.forbids_body() =>
            {
                return Err(contradiction(*declared, state.held.len() as u64).into());
            }
            Progress::Started(..) | Progress::Passed(..) | Progress::Sent { .. } | Progress::Bodiless { .. } => {
                return Ok(());
            }
        };
        Err(ContractError::new(problem).into())
    }

    /// Sends the part of the response that cannot be sent with its end, after
    /// [`check_complete`](Exchange::check_complete): then the end cannot fail.
    ///
    /// # Errors
    ///
    /// The client has disconnected, or the deadline has passed.
    pub(crate) fn prepare_end(&self) -> Result<()> {
        let held = {
            let state = &*self.state.borrow();
            let (head, declared, held, trailers) = match state {
                ExchangeState { progress: Progress::Started(head, declared), held, trailers, .. } => {
                    (head, declared, held, trailers)
                }
                ExchangeState { progress: Progress::Passed(..), .. } => return self.check_in_time(),
                _ => return Ok(()),
            };
            self.check_in_time()?;
            if self.options.head_request || head.forbids_body() {
                return Ok(());
            }
            (declared.is_some() || trailers.is_none()).then_some(held.len())
        };
        let Some(held) = held else { return self.send_head() };
        match self.reserve(held) {
            Ok(None) => Ok(()),
            Ok(Some(reserved)) => {
                let held = &mut self.state.borrow_mut().held;
                *held = ChunkBytes::Plain(reserved.until_dropped(std::mem::take(held)));
                Ok(())
            }
            Err(NoRoom) => {
                self.note_run();
                let body = std::mem::take(&mut self.state.borrow_mut().held);
                self.send_in_parts(body)
            }
        }
    }

    /// Ends the response as a success, after [`prepare_end`](Exchange::prepare_end). If nothing was sent, the whole
    /// response is one message, in the slot of its job.
    pub(crate) fn complete(&mut self, mut slot: Box<dyn ResponseSlot>) {
        let ExchangeState { progress, held, trailers, .. } = self.state.get_mut();
        match (std::mem::take(progress), trailers.take()) {
            (Progress::Sent { remaining: None }, Some(trailers)) => {
                self.leave_to_client();
                self.messages.push_last(Message::Trailers(Box::new(trailers)));
            }
            (Progress::Started(mut head, declared), _) => {
                let body = std::mem::take(held);
                if self.options.head_request || head.forbids_body() {
                    let length = body.len() as u64;
                    // The length that GET would have (RFC 9110 §8.6), unless the body is empty: an application that
                    // computes no body for HEAD has not stated that GET's is empty.
                    if declared.is_none() && length > 0 && !head.forbids_body() {
                        head.set_length(length);
                    }
                    self.messages.push_last(Message::Bodiless(Box::new(head)));
                } else {
                    *slot.response_mut() = Some(WholeResponse { head, body: WholeBody::Bytes(body) });
                    self.messages.push_last(Message::Whole(slot));
                }
            }
            (Progress::Passed(head, body, length), _) => {
                *slot.response_mut() = Some(WholeResponse { head, body: WholeBody::Passed(body, length) });
                self.messages.push_last(Message::Whole(slot));
            }
            (Progress::NotStarted | Progress::Sent { .. } | Progress::Bodiless { .. }, _) => {
                self.leave_to_client();
                self.messages.end(Ok(()));
            }
        }
    }

    /// Ends the response as a failure: with a clean response if nothing was sent; otherwise breaks the message off.
    pub(crate) fn fail(&mut self, refusal: Refusal, broken_off: RequestOutcome) {
        if self.head_is_sent() {
            self.leave_to_client();
            self.messages.end(Err(broken_off));
        } else {
            self.messages.push_last(Message::Failure(refusal));
        }
        self.discard_unsent();
    }
}
