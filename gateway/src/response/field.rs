//! Names and values of header fields.
//!
//! Threads: any.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::contained::drop_contained;
use crate::error::ContractError;
use crate::latin1;
use crate::log_text::Quoted;

/// Parses the name of a header.
pub(super) fn parse_name(name: &str) -> Result<HeaderName, ContractError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ContractError::new(format!(
            "header name {} is not a token: only letters, digits and !#$%&'*+-.^_`|~ may stand in it",
            Quoted(name)
        ))
    })
}

/// Parses a header value from native text.
pub(super) fn parse_value(name: &HeaderName, value: &str) -> Result<HeaderValue, ContractError> {
    if let Some(usual) = usual_value(value) {
        return Ok(usual);
    }
    let bytes = latin1::encode(value.trim_matches([' ', '\t'])).ok_or_else(|| {
        ContractError::new(format!(
            "the value {} of header {} holds a character above U+00FF",
            Quoted(value),
            Quoted(name.as_str())
        ))
    })?;
    HeaderValue::from_bytes(&bytes).map_err(|_| {
        ContractError::new(format!(
            "the value {} of header {} holds a control character",
            Quoted(value),
            Quoted(name.as_str())
        ))
    })
}

/// The same fields, with copied values: a `HeaderValue` may hold bytes with an owner, and has no method to check.
pub(crate) fn contained(mut headers: HeaderMap) -> HeaderMap {
    for value in headers.values_mut() {
        let usual = value.to_str().ok().and_then(usual_value);
        let copied = usual.or_else(|| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let Some(mut own) = copied {
            own.set_sensitive(value.is_sensitive());
            drop_contained(std::mem::replace(value, own));
        }
    }
    headers
}

/// Common values are static, and need no allocation.
fn usual_value(value: &str) -> Option<HeaderValue> {
    macro_rules! usual {
        ($($text:literal),+ $(,)?) => {
            match value {
                $($text => Some(HeaderValue::from_static($text)),)+
                _ => None,
            }
        };
    }
    usual!(
        "text/plain",
        "text/plain; charset=utf-8",
        "text/html",
        "text/html; charset=utf-8",
        "text/css",
        "text/css; charset=utf-8",
        "text/javascript",
        "text/event-stream",
        "application/json",
        "application/octet-stream",
        "no-cache",
        "no-store",
        "nosniff",
    )
}

/// A number, in an allocation of its exact size.
pub(super) fn decimal(number: u64) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    // A value of digits is always valid.
    HeaderValue::from_str(digits.format(number)).unwrap_or_else(|_| HeaderValue::from(number))
}
