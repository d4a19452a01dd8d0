//! The response of a handler or of an extractor, whose body needs no thread.
//!
//! Threads: made on the pool or the runtime.

use axum::response::Response;
use hyper::ext::ReasonPhrase;

use crate::error::{ContractError, Error, Result};
use crate::response::axum_body::AxumBody;
use crate::response::head::ResponseHead;
use crate::response::known_length;
use crate::response::streamed::Streamed;

/// A response whose head is checked.
#[derive(Debug)]
pub(crate) struct PassedResponse {
    pub(crate) head: ResponseHead,
    pub(crate) body: AxumBody,
    /// The length that the head declares, or that the body knows.
    pub(crate) length: Option<u64>,
}

/// The parts of a response of axum, contained.
pub(crate) struct ResponseParts {
    pub(crate) head: ResponseHead,
    pub(crate) body: AxumBody,
    /// The body that the thread makes, instead of `body`.
    pub(crate) streamed: Option<Streamed>,
}

impl ResponseParts {
    pub(crate) fn of(response: Response) -> Self {
        let (mut parts, body) = response.into_parts();
        let body = AxumBody::new(body);
        let streamed = Streamed::of_response(&mut parts.extensions);
        let reason = parts.extensions.remove::<ReasonPhrase>();
        let head = ResponseHead::new(parts.status, parts.headers).with_reason(reason).with_extensions(parts.extensions);
        Self { head: head.contained(), body, streamed }
    }
}

impl PassedResponse {
    /// The rejection of an extractor, with the checks of every response.
    ///
    /// # Errors
    ///
    /// The response must not be sent.
    pub(crate) fn of_rejection(response: Response, head_request: bool) -> Result<Self> {
        let ResponseParts { mut head, body, streamed } = ResponseParts::of(response);
        if streamed.is_some() {
            return Err(ContractError::new(
                "the rejection of an extractor is `Streamed`, and has no thread; give it another body",
            )
            .into());
        }
        let declared = head.check()?;
        let Some(known) = body.length().map_err(Error::from)? else { return Ok(Self { head, body, length: declared }) };
        let length = known_length::settle(&mut head, declared, known, head_request)?.or(Some(known));
        Ok(Self { head, body, length })
    }
}
