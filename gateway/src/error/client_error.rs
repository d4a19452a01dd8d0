//! The mark of an error of this crate that the client caused.
//!
//! Threads: any.

use std::error::Error as StdError;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// The last source of an error of this crate that the client caused: the status of the answer.
#[derive(Debug)]
pub(crate) struct ClientError(pub(crate) StatusCode);

error_text!(ClientError, |error| "{}", error.0);

/// The status of the [`ClientError`] among an error and its sources, and as text the error that has it as its source.
pub(super) fn response_of<'e>(chain: impl Iterator<Item = &'e (dyn StdError + 'static)>) -> Option<Response> {
    let mut reason = None;
    for error in chain {
        if let Some(ClientError(status)) = error.downcast_ref() {
            let text = reason.map_or_else(|| status.to_string(), ToString::to_string);
            return Some((*status, format!("{text}\n")).into_response());
        }
        reason = Some(error);
    }
    None
}
