//! What was said of a response, and what has gone.
//!
//! Threads: pool.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::error::{ContractError, Error, Result};
use crate::response::head::ResponseHead;
use crate::response::progress::Progress;

#[derive(Default)]
pub(super) struct State {
    /// `start_response` was called, even if in vain (PEP 3333: a second call is an error all the same).
    pub(super) called: bool,
    /// What was wrong with the head that it was called with last.
    pub(super) refused: Option<String>,
    pub(super) progress: Progress,
    /// The first chunk, while it may be the only one. Nothing has gone as long as it is here.
    pub(super) held: Bytes,
    /// Why the message must not end as a success, although the application may believe it does.
    pub(super) poisoned: Option<Error>,
    /// A write has told the application that the client has gone.
    pub(super) knows_client_gone: bool,
    /// The names of the fields that follow the body.
    pub(super) announced: Vec<HeaderName>,
    pub(super) trailers: Option<HeaderMap>,
    /// Bytes that were returned beyond the declared length.
    pub(super) excess: usize,
}

impl State {
    /// A head that is in order waits for the first byte. What is wrong with one that is not is kept, in case nobody
    /// heeds it.
    pub(super) fn begin(&mut self, head: Result<ResponseHead, ContractError>) -> Result<()> {
        let checked = head.and_then(|mut head| head.check().map(|length| Progress::Started(head, length)));
        match checked {
            Ok(started) => self.progress = started,
            Err(error) => {
                self.refused = Some(error.to_string());
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Why there is no head, although the application has come so far.
    pub(super) fn not_started(&self, so_far: &str) -> ContractError {
        ContractError::new(match &self.refused {
            Some(why) => {
                format!("the application went on after start_response had failed ({why}); pass its error on with `?`")
            }
            None if self.called => {
                "the application went on after start_response had failed; pass its error on with `?`".to_owned()
            }
            None => format!("the application {so_far} without calling start_response"),
        })
    }
}
