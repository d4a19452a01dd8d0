//! The length of a response whose body is known before it is sent.
//!
//! Threads: any.

use crate::error::ContractError;
use crate::response::head::ResponseHead;

/// Settles the certain length of a body with the length that the head declares, if any. Declares the length if the head
/// declares none, and returns the declared length.
///
/// # Errors
///
/// The head declares another length, and the response has a body.
pub(crate) fn settle(
    head: &mut ResponseHead,
    declared: Option<u64>,
    length: u64,
    head_request: bool,
) -> Result<Option<u64>, ContractError> {
    match declared {
        Some(declared) if declared != length && !head_request && !head.forbids_body() => {
            Err(contradiction(declared, length))
        }
        Some(_) => Ok(declared),
        // The response to HEAD must not state that GET would be empty; see `Exchange::complete`.
        None if length > 0 && !head.forbids_body() => {
            head.set_length(length);
            Ok(Some(length))
        }
        None => Ok(None),
    }
}

/// The body has another length than the head declares.
pub(crate) fn contradiction(declared: u64, length: u64) -> ContractError {
    ContractError::new(format!("the declared Content-Length is {declared}, the body has {length} bytes"))
}
