//! Names of trailer fields.
//!
//! Threads: any.

use http::header::{self, HeaderName};

use crate::error::ContractError;
use crate::response::head::is_hop_by_hop;

/// Refuses fields that must not be trailers: those for framing, routing, authentication or caching (RFC 9110 §6.5.1).
pub(crate) fn check_trailers<'n>(names: impl IntoIterator<Item = &'n HeaderName>) -> Result<(), ContractError> {
    for name in names {
        let describes = matches!(
            *name,
            header::AUTHORIZATION
                | header::CACHE_CONTROL
                | header::CONTENT_ENCODING
                | header::CONTENT_LENGTH
                | header::CONTENT_RANGE
                | header::CONTENT_TYPE
                | header::DATE
                | header::EXPIRES
                | header::HOST
                | header::LOCATION
                | header::MAX_FORWARDS
                | header::RETRY_AFTER
                | header::SET_COOKIE
                | header::VARY
                | header::WWW_AUTHENTICATE
        );
        if describes || is_hop_by_hop(name) {
            return Err(ContractError::new(format!("{name:?} cannot be a trailer; send it in the head")));
        }
    }
    Ok(())
}
