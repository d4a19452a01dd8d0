//! What was said of a response, and what has gone.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::error::{Error, Result};
use crate::response::ResponseHead;
use crate::worker::progress::Progress;

#[derive(Default)]
pub(super) struct State {
    /// `start_response` was called, even if in vain (PEP 3333: a second call is an error all the same).
    pub(super) called: bool,
    pub(super) progress: Progress,
    /// The first chunk, while it may be the only one. Nothing has gone as long as it is here.
    pub(super) held: Bytes,
    /// Why the message must not end as a success, although the application may believe it does.
    pub(super) spoiled: Option<Error>,
    /// A write has told the application that the client has gone.
    pub(super) knows_client_gone: bool,
    /// The names of the fields that follow the body.
    pub(super) announced: Vec<HeaderName>,
    pub(super) trailers: Option<HeaderMap>,
    /// Bytes that were returned beyond the declared length.
    pub(super) excess: usize,
}

impl State {
    /// A head that is in order waits for the first byte.
    pub(super) fn begin(&mut self, mut head: ResponseHead) -> Result<()> {
        let length = head.check()?;
        self.progress = Progress::Started(head, length);
        Ok(())
    }
}
