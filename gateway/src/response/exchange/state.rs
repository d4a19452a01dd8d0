//! The state of a response.
//!
//! Threads: pool.

use http::{HeaderMap, HeaderName};

use crate::error::{ContractError, Error, Result};
use crate::response::chunk_bytes::ChunkBytes;
use crate::response::head::ResponseHead;
use crate::response::progress::Progress;

#[derive(Default)]
pub(super) struct ExchangeState {
    /// Why the call of `start_response` failed. PEP 3333: a second call is an error in any case.
    pub(super) refused: Option<String>,
    pub(super) progress: Progress,
    /// The first chunk, while it may be the only one. Nothing was sent while a chunk is held.
    pub(super) held: ChunkBytes,
    /// Why the message must not end as a success, even if the application returns one.
    pub(super) poisoned: Option<Error>,
    /// A write has reported the disconnect to the application.
    pub(super) knows_client_gone: bool,
    /// The names of the trailers.
    pub(super) announced: Vec<HeaderName>,
    pub(super) trailers: Option<HeaderMap>,
    /// The number of returned bytes beyond the declared length.
    pub(super) excess: usize,
}

impl ExchangeState {
    /// Whether `start_response` was called, even if the call failed.
    pub(super) fn is_called(&self) -> bool {
        self.refused.is_some() || !matches!(self.progress, Progress::NotStarted)
    }

    /// Stores a valid head until the first byte. Stores why an invalid head was refused, in case the application
    /// ignores the error.
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

    /// The error of an application that goes on without a head.
    pub(super) fn not_started(&self, so_far: &str) -> ContractError {
        ContractError::new(match &self.refused {
            Some(why) => {
                format!("the application went on after start_response had failed ({why}); pass its error on with `?`")
            }
            None => format!("the application {so_far} without calling start_response"),
        })
    }
}
