//! One response in progress, on the application's thread: its state, and the checks of each step.
//!
//! Threads: pool; blocks.

mod end;
mod send;
mod state;
mod untaken;
mod wait;

use std::cell::{OnceCell, RefCell};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use self::state::ExchangeState;
use crate::connection_context::ConnectionContext;
use crate::error::{CallError, ContractError, Error, Result};
use crate::log::{self, Span};
use crate::observe::timing::Timing;
use crate::response::axum_body::AxumBody;
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::field;
use crate::response::file::FileStream;
use crate::response::head::ResponseHead;
use crate::response::known_length;
use crate::response::message::{Message, Messages};
use crate::response::progress::{Extent, Progress};
use crate::response::request_end::RequestEnd;
use crate::response::trailers::check_trailers;
use crate::response::write::Write;

/// The state behind [`StartResponse`](crate::StartResponse) and [`Write`](crate::Write).
///
/// Every byte of a response is counted here, so that the server gets nothing that contradicts the head.
pub(crate) struct Exchange {
    messages: Messages,
    options: ResponseOptions,
    state: RefCell<ExchangeState>,
    /// Made by the first wait.
    end: OnceCell<RequestEnd>,
}

/// The options of a response, from the request and its mount.
#[derive(Debug)]
pub(crate) struct ResponseOptions {
    /// The request was HEAD: the response has no body, whatever the application returns.
    pub(crate) head_request: bool,
    /// How long a client may take nothing of a full buffer.
    pub(crate) write_stall: Duration,
    /// When sending ends.
    pub(crate) deadline: Option<Instant>,
    /// The thread takes another job afterwards: a file may be read on another thread, and memory is reserved for the
    /// bytes that the client has not taken by then. Not a runtime thread, which must not wait for the client.
    pub(crate) offloads: bool,
    /// The connection, if the server provides it.
    pub(crate) context: Option<ConnectionContext>,
    /// The timing for the access record, if there is one, and when the job began.
    pub(crate) timing: Option<(Arc<Timing>, Instant)>,
}

impl Exchange {
    pub(crate) fn new(messages: Messages, options: ResponseOptions) -> Self {
        Self { messages, options, state: RefCell::default(), end: OnceCell::new() }
    }

    /// Records the run time so far, before a message that may be the last: its receiver may write the access record at
    /// once, and reads the run time there.
    pub(crate) fn note_run(&self) {
        if let Some((timing, begun)) = &self.options.timing {
            timing.set_ran(begun.elapsed());
        }
    }

    /// `start_response`, as a plain call.
    pub(crate) fn call(&self, status: &str, headers: &[(&str, &str)]) -> Result<Write<'_>, CallError> {
        self.start(ResponseHead::parse(status, headers))?;
        Ok(Write::new(self))
    }

    /// `start_response` without `exc_info`.
    pub(crate) fn start(&self, head: Result<ResponseHead, ContractError>) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        if state.is_called() {
            return Err(ContractError::new(
                "start_response was called twice; to replace a response because of an error, use its `replace`",
            )
            .into());
        }
        state.begin(head)
    }

    /// `start_response` with `exc_info`: replaces a head that was not sent; returns the error once the head was sent.
    pub(crate) fn replace(&self, error: Error, head: Result<ResponseHead, ContractError>) -> Result<()> {
        // The first byte commits the head, even if both are still held here.
        if !self.is_fresh() {
            // Half a page must not end as a complete one, even if the application ignores the returned error.
            self.poison("the application had an error to report after its head was sent");
            return Err(error);
        }
        let state = &mut *self.state.borrow_mut();
        state.refused = None;
        state.progress = Progress::NotStarted;
        state.poisoned = None;
        state.trailers = None;
        state.begin(head)
    }

    /// Discards the head and the bytes that were not sent, so that another response can begin. The head must not be
    /// sent.
    pub(crate) fn discard_unsent(&self) {
        // Dropped outside the borrow, and one by one: a head has the extensions of a handler's response.
        let ExchangeState { progress, held, poisoned, .. } = std::mem::take(&mut *self.state.borrow_mut());
        log::panic_of!(drop(progress), "the head of a discarded response panicked when it was dropped");
        drop(held);
        log::panic_of!(drop(poisoned), "the error of a discarded response panicked when it was dropped");
    }

    /// Counts a call that failed before it reached the exchange.
    pub(crate) fn note_refusal(&self, why: String) {
        self.state.borrow_mut().refused.get_or_insert(why);
    }

    /// Makes the message end as a failure, even if the application returns a success.
    pub(crate) fn poison(&self, why: &str) {
        self.state.borrow_mut().poisoned.get_or_insert_with(|| ContractError::new(why).into());
    }

    /// The `write` callable.
    pub(crate) fn write(&self, bytes: ChunkBytes) -> Result<()> {
        if self.head_is_sent() {
            self.check_recipient(bytes.is_empty())?;
        } else {
            self.send_head()?;
        }
        let rest = self.send_counted(bytes)?;
        if rest > 0 {
            return Err(ContractError::new(format!(
                "{rest} bytes written beyond the declared Content-Length; declare the true length or none"
            ))
            .into());
        }
        Ok(())
    }

    /// Holds a chunk that is likely to be the only one until that is certain, so that the response can be one message.
    pub(crate) fn hold(&self, bytes: ChunkBytes) -> Result<()> {
        if let state @ ExchangeState { progress: Progress::Started(..), .. } = &mut *self.state.borrow_mut() {
            state.held = bytes;
            return Ok(());
        }
        // Either no head was started, which is an error; or the head was sent meanwhile, and the chunk follows it.
        self.chunk(bytes)
    }

    /// Whether nothing was sent or is held.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.head_is_sent() && self.state.borrow().held.is_empty()
    }

    /// The length that an unsent head declares.
    pub(crate) fn declared_length(&self) -> Option<u64> {
        self.state.borrow().progress.unsent().and_then(|(_, declared)| declared)
    }

    /// Declares the certain length of a body, if the head was not sent and declares none.
    ///
    /// # Errors
    ///
    /// The head declares another length.
    pub(crate) fn settle_length(&self, length: u64) -> Result<()> {
        let ExchangeState { progress: Progress::Started(head, declared), .. } = &mut *self.state.borrow_mut() else {
            return Ok(());
        };
        *declared = known_length::settle(head, *declared, length, self.options.head_request)?;
        Ok(())
    }

    /// Whether a file can be handed over to the runtime instead of being read here.
    pub(crate) fn can_offload(&self) -> bool {
        let state = self.state.borrow();
        let ExchangeState { progress: Progress::Started(head, Some(_)), poisoned: None, .. } = &*state else {
            return false;
        };
        self.options.offloads && state.held.is_empty() && !self.options.head_request && !head.forbids_body()
    }

    /// Hands over a file as the body of the declared length.
    pub(crate) fn offload(&self, file: File) -> Result<()> {
        let progress = std::mem::take(&mut self.state.borrow_mut().progress);
        match progress {
            Progress::Started(head, Some(length)) => {
                let file = FileStream::new(file, length, Span::current());
                self.send_first(Message::File(Box::new((head, file))), Progress::Sent { remaining: Some(0) })
            }
            _ => Err(self.state.borrow().not_started("returned a file").into()),
        }
    }

    /// Takes a body of axum, which the runtime sends. The response is sent with the end.
    ///
    /// # Errors
    ///
    /// The head declares a length other than the known length of the body.
    pub(crate) fn pass(&self, body: AxumBody) -> Result<()> {
        let known = body.length()?;
        if let Some(length) = known {
            self.settle_length(length)?;
        }
        let state = &mut *self.state.borrow_mut();
        let Progress::Started(head, declared) = std::mem::take(&mut state.progress) else {
            return Err(state.not_started("returned a response").into());
        };
        state.progress = Progress::Passed(head, body, declared.or(known));
        Ok(())
    }

    /// Announces the trailers. No effect if the head was sent or declares a length.
    pub(crate) fn announce(&self, names: &[HeaderName]) -> Result<()> {
        check_trailers(names)?;
        self.state.borrow_mut().announced = names.to_vec();
        Ok(())
    }

    /// Takes the trailers, which are sent with the end.
    pub(crate) fn trailers(&self, fields: HeaderMap) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        if let Some(name) = fields.keys().find(|name| !state.announced.contains(name)) {
            return Err(
                ContractError::new(format!("the trailer {name:?} was not announced; name it beforehand")).into()
            );
        }
        state.trailers = Some(field::contained(fields));
        Ok(())
    }

    /// A chunk of the returned iterable.
    pub(crate) fn chunk(&self, bytes: ChunkBytes) -> Result<()> {
        self.send_head()?;
        let rest = self.send_counted(bytes)?;
        if rest > 0 {
            self.state.borrow_mut().excess += rest;
        }
        Ok(())
    }

    /// The number of returned bytes beyond the declared length, if any.
    pub(crate) fn excess(&self) -> Option<usize> {
        Some(self.state.borrow().excess).filter(|excess| *excess > 0)
    }

    /// Whether the head was sent, so that a failure can no longer be a clean response.
    pub(crate) fn head_is_sent(&self) -> bool {
        self.state.borrow().progress.head_is_sent()
    }

    /// How much of the response was sent.
    pub(crate) fn extent(&self) -> Extent {
        self.state.borrow().progress.extent()
    }

    /// Whether the client has disconnected before it got the whole response.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.is_complete() && self.messages.is_closed()
    }

    /// Whether a write or a wait has reported the disconnect to the application.
    pub(crate) fn knows_client_gone(&self) -> bool {
        self.state.borrow().knows_client_gone
    }

    /// Whether the message is complete, so that the application is asked for no more chunks.
    pub(crate) fn is_complete(&self) -> bool {
        self.state.borrow().progress.is_complete()
    }

    /// The head that was started and not sent.
    pub(crate) fn unsent_head(&self) -> Option<ResponseHead> {
        self.state.borrow().progress.unsent().map(|(head, _)| head.clone())
    }

    /// Sends the head before the first byte, then the held chunk.
    fn send_head(&self) -> Result<()> {
        let (message, sent, held) = {
            let state = &mut *self.state.borrow_mut();
            if let ExchangeState { poisoned: Some(why), progress: Progress::Started(..), .. } = state {
                // This head should have been replaced. Nothing was sent, so the failure can still be a clean response.
                return Err(ContractError::new(why.describe()).into());
            }
            let (message, sent) = match std::mem::take(&mut state.progress) {
                Progress::NotStarted => return Err(state.not_started("returned a body").into()),
                Progress::Started(head, _) if self.options.head_request || head.forbids_body() => {
                    (Message::Bodiless(Box::new(head)), Progress::Bodiless { since: None, is_logged: false })
                }
                Progress::Started(head, Some(0)) => {
                    // Complete with its head: as a stream it would end on HTTP/2 only when the thread has finished.
                    (Message::Bodiless(Box::new(head)), Progress::Sent { remaining: Some(0) })
                }
                Progress::Started(mut head, length) => {
                    if length.is_none() {
                        head.announce(&state.announced);
                    }
                    (Message::Head(Box::new(head), length), Progress::Sent { remaining: length })
                }
                sent => {
                    state.progress = sent;
                    return Ok(());
                }
            };
            (message, sent, std::mem::take(&mut state.held))
        };
        self.send_first(message, sent)?;
        if held.is_empty() {
            return Ok(());
        }
        self.chunk(held)
    }

    /// Sends the bytes within the declared length, and returns how many exceed it.
    fn send_counted(&self, bytes: ChunkBytes) -> Result<usize> {
        if let ExchangeState { poisoned: Some(_), progress: Progress::Sent { remaining: Some(_) }, .. } =
            &*self.state.borrow()
        {
            // More bytes could fill the declared length, and the client would take the message for complete.
            return Err(ContractError::new("nothing may follow in a response that has failed").into());
        }
        let (fits, rest) = self.split_at_length(bytes);
        if !fits.is_empty() {
            if self.is_complete() {
                self.note_run();
            }
            self.send(Message::Chunk(fits))?;
        }
        Ok(rest)
    }

    /// Splits off the bytes beyond the declared length and returns their number. Counts the others as sent.
    fn split_at_length(&self, mut bytes: ChunkBytes) -> (ChunkBytes, usize) {
        match &mut self.state.borrow_mut().progress {
            Progress::Bodiless { is_logged, .. } => {
                if !bytes.is_empty() && !std::mem::replace(is_logged, true) {
                    log::debug!("a response without a body was given one; it is dropped");
                }
                (ChunkBytes::default(), 0)
            }
            Progress::Sent { remaining: Some(remaining) } => {
                let room = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                let rest = bytes.split_off(room);
                *remaining -= room as u64;
                (bytes, rest.len())
            }
            Progress::NotStarted | Progress::Started(..) | Progress::Passed(..) | Progress::Sent { .. } => (bytes, 0),
        }
    }
}
