//! How a response ends, as a success or a failure.
//!
//! Threads: pool; blocks.

use http::StatusCode;

use crate::error::{ContractError, Result};
use crate::response::exchange::untaken::NoRoom;
use crate::response::exchange::{Exchange, State, contradiction};
use crate::response::message::{Answer, AnswerSlot, Message};
use crate::response::progress::Progress;

impl Exchange {
    /// Sends a message whose length is known by now, where that has to wait for nothing: the application has no more to
    /// say, but may take its time to close. What it does then cannot change the message. One that ends with a marker of
    /// its own is left as it is, and so is one that [`check_complete`](Exchange::check_complete) will refuse.
    ///
    /// # Errors
    ///
    /// The client has gone, or the deadline has passed.
    pub(crate) fn deliver_known(&self) -> Result<()> {
        let unwanted = {
            let state = &mut *self.state.borrow_mut();
            let State { progress, held, trailers, poisoned: None, .. } = state else { return Ok(()) };
            let Progress::Started(head, declared) = progress else { return Ok(()) };
            let length = held.len() as u64;
            if self.head_request || head.forbids_body() {
                // As in `complete`, which see.
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
        // Outside of the borrow: bytes may have an owner with a destructor.
        drop(unwanted);
        self.send_head()
    }

    /// Whether the response may end as a success, now that the application has.
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
                if *declared != state.held.len() as u64 && !self.head_request && !head.forbids_body() =>
            {
                return Err(contradiction(*declared, state.held.len() as u64).into());
            }
            Progress::Started(..) | Progress::Sent { .. } | Progress::Bodiless => return Ok(()),
        };
        Err(ContractError::new(problem).into())
    }

    /// Ends the response as a success, after [`check_complete`](Exchange::check_complete). A body of which nothing has
    /// gone goes as one message, in the slot of its job.
    pub(crate) fn complete(&mut self, mut slot: Box<dyn AnswerSlot>) {
        let State { progress, held, trailers, announced, .. } = self.state.get_mut();
        match (std::mem::take(progress), trailers.take()) {
            (Progress::Started(mut head, None), Some(trailers)) if !self.head_request && !head.forbids_body() => {
                head.announce(announced);
                // A client that has gone needs none of it.
                let _ = self.messages.push(Message::Head(Box::new(head), None), self.write_stall);
                self.messages.push_last(Message::Trailers(Box::new(trailers)));
            }
            (Progress::Sent { remaining: None }, Some(trailers)) => {
                self.leave_to_client();
                self.messages.push_last(Message::Trailers(Box::new(trailers)));
            }
            (Progress::Started(mut head, declared), _) => {
                let body = std::mem::take(held);
                let length = body.len() as u64;
                if self.head_request || head.forbids_body() {
                    // The length that GET would have (RFC 9110 §8.6), unless the body is empty: an application that
                    // computes nothing for HEAD has not said that GET would be empty, too.
                    if declared.is_none() && length > 0 && !head.forbids_body() {
                        head.set_length(length);
                    }
                    self.messages.push_last(Message::Bodiless(Box::new(head)));
                } else {
                    match self.reserve(body.len()) {
                        Ok(reserved) => {
                            let body = match reserved {
                                Some(reserved) => reserved.until_dropped(body),
                                None => body,
                            };
                            *slot.answer_mut() = Some(Answer { head, body });
                            self.messages.push_last(Message::Whole(slot));
                        }
                        Err(NoRoom) => self.send_in_parts(head, body),
                    }
                }
            }
            (Progress::NotStarted | Progress::Sent { .. } | Progress::Bodiless, _) => {
                self.leave_to_client();
                self.messages.finish();
            }
        }
    }

    /// Ends the response as a failure: a clean answer if nothing has gone, else a broken-off message, because nobody
    /// says how it ended.
    pub(crate) fn fail(&mut self, status: StatusCode) {
        if self.head_is_sent() {
            self.leave_to_client();
        } else {
            self.messages.push_last(Message::Failure(status));
        }
    }
}
