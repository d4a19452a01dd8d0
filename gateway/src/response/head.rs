//! Status and headers, and all checks of them.
//!
//! Threads: any.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::bodiless::has_no_body;
use crate::contained::{Contained, drop_contained};
use crate::declared_length::parse_length;
use crate::error::ContractError;
use crate::latin1;
use crate::log_text::Quoted;
use crate::response::field;

/// The status line and the headers of a response.
///
/// Built by [`StartResponse`](crate::StartResponse) from the application's arguments; middleware inspects and changes
/// it.
///
/// # Example
///
/// ```
/// use gateway::ResponseHead;
///
/// # fn main() -> Result<(), gateway::ContractError> {
/// let head = ResponseHead::parse("404 Not Found", &[("Content-Type", "text/plain")])?;
/// assert_eq!(head.status(), 404);
/// assert_eq!(head.headers()["content-type"], "text/plain");
///
/// let error = ResponseHead::parse("404", &[]).unwrap_err();
/// assert!(error.to_string().contains("404"), "{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ResponseHead {
    status: StatusCode,
    /// The application's own reason, if it differs from the standard one. Sent on HTTP/1 only.
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    /// The values may be bytes of the application, with an owner that panics when it is dropped.
    may_have_owners: bool,
    /// What a handler passes on to layers around it.
    extensions: Contained<Extensions>,
}

impl ResponseHead {
    /// A head with a status and typed headers.
    pub fn new(status: StatusCode, headers: HeaderMap) -> Self {
        Self { status, reason: None, headers, may_have_owners: true, extensions: Contained::new(Extensions::new()) }
    }

    /// Parses a head from text: a status such as `"200 OK"`, and header pairs.
    ///
    /// Text is Latin-1: one character is one byte on the wire.
    ///
    /// # Errors
    ///
    /// Returns a [`ContractError`] that names the offending value:
    ///
    /// * the status is not three digits from 200 up, one space and a reason, which may be empty;
    /// * a header name is not an RFC 9110 token;
    /// * a character is a control character or above U+00FF;
    /// * there are more than 100 headers.
    pub fn parse(status: &str, headers: &[(&str, &str)]) -> Result<Self, ContractError> {
        let (status, reason) = parse_status(status)?;
        if headers.len() > MOST_FIELDS {
            return Err(too_many(headers.len()));
        }
        // With room for the length, which most responses get later.
        let mut map = HeaderMap::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            let name = field::parse_name(name)?;
            let value = field::parse_value(&name, value)?;
            map.append(name, value);
        }
        // Its bytes were copied from the text.
        let may_have_owners = false;
        Ok(Self { status, reason, headers: map, may_have_owners, extensions: Contained::new(Extensions::new()) })
    }

    /// The same head with the application's own reason phrase, for HTTP/1.
    #[must_use]
    pub(crate) fn with_reason(mut self, reason: Option<ReasonPhrase>) -> Self {
        self.reason = reason;
        self
    }

    /// The same head, for a response with these extensions.
    #[must_use]
    pub(crate) fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = Contained::new(extensions);
        self
    }

    /// The same head, with owners that cannot panic when they are dropped.
    pub(crate) fn contained(mut self) -> Self {
        if self.may_have_owners {
            self.headers = field::contained(self.headers);
            self.reason = self.reason.and_then(contained_reason);
            self.may_have_owners = false;
        }
        self
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, mutable. They are checked when the head is passed on.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.may_have_owners = true;
        &mut self.headers
    }

    /// Refuses a head that must not be sent, however it was built. Returns the declared body length.
    ///
    /// Collapses repeats of one `Content-Length` into a single field.
    pub(crate) fn check(&mut self) -> Result<Option<u64>, ContractError> {
        if self.status.is_informational() {
            return Err(ContractError::new(format!(
                "status {} is informational and cannot end an exchange; start the response with a status from 200 up",
                self.status.as_u16()
            )));
        }
        if self.headers.len() > MOST_FIELDS {
            return Err(too_many(self.headers.len()));
        }
        let (mut bytes, mut lengths, mut seen) = (0, 0, 0_u8);
        // One pass costs less than a lookup for each header.
        for (name, value) in &self.headers {
            bytes += name.as_str().len() + value.len();
            if is_hop_by_hop(name) {
                return Err(ContractError::new(format!(
                    "header {name:?} belongs to the connection, and only the server sets it; leave it out"
                )));
            }
            if name.as_str() == "status" {
                return Err(ContractError::new("header \"status\" is not HTTP; give the status as the first argument"));
            }
            let bit = match *name {
                header::CONTENT_TYPE => 1,
                header::DATE => 2,
                header::SERVER => 4,
                header::CONTENT_LENGTH => {
                    lengths += 1;
                    0
                }
                _ => 0,
            };
            if seen & bit != 0 {
                return Err(ContractError::new(format!("header {name:?} is there twice; send one")));
            }
            seen |= bit;
        }
        if bytes > MOST_HEAD_BYTES {
            return Err(ContractError::new(format!(
                "{bytes} bytes of response headers; clients take {MOST_HEAD_BYTES} at most"
            )));
        }
        if lengths == 0 { Ok(None) } else { self.check_length() }
    }

    fn check_length(&mut self) -> Result<Option<u64>, ContractError> {
        let mut declared = None;
        let mut fields = 0;
        for value in self.headers.get_all(header::CONTENT_LENGTH) {
            let length = parse_length(value).ok_or_else(|| {
                let value = String::from_utf8_lossy(value.as_bytes());
                ContractError::new(format!("Content-Length {} is not a decimal number of bytes", Quoted(&value)))
            })?;
            if declared.is_some_and(|declared| declared != length) {
                return Err(ContractError::new("two Content-Length headers that differ; send one"));
            }
            declared = Some(length);
            fields += 1;
        }
        if let Some(length) = declared.filter(|_| fields > 1) {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(declared)
    }

    /// Whether the status forbids a body: HTTP gives it none (RFC 9110 §6.4.1), or servers must not send one, as with
    /// 205 (RFC 9110 §15.3.6).
    pub(crate) fn forbids_body(&self) -> bool {
        has_no_body(self.status) || self.status == StatusCode::RESET_CONTENT
    }

    /// Declares the exact length of the body.
    pub(crate) fn set_length(&mut self, length: u64) {
        self.headers.insert(header::CONTENT_LENGTH, field::decimal(length));
    }

    /// Announces the trailers.
    pub(crate) fn announce(&mut self, trailers: &[HeaderName]) {
        for name in trailers {
            self.headers.append(header::TRAILER, HeaderValue::from(name.clone()));
        }
    }

    /// The response with this head.
    pub(crate) fn into_response<B>(mut self, body: B) -> Response<B> {
        match self.status {
            // RFC 9110 §8.6: never a length on 204.
            StatusCode::NO_CONTENT => _ = self.headers.remove(header::CONTENT_LENGTH),
            // A client expects a body after any other status, and waits for its end.
            StatusCode::RESET_CONTENT => self.set_length(0),
            _ => {}
        }
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        *response.extensions_mut() = self.extensions.into_inner();
        // For a status without a canonical reason hyper would send `<none>`.
        let unnamed = || self.status.canonical_reason().is_none().then_some(NO_REASON);
        if let Some(reason) = self.reason.or_else(unnamed) {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).field("headers", &self.headers).finish()
    }
}

/// The same reason phrase, copied.
fn contained_reason(reason: ReasonPhrase) -> Option<ReasonPhrase> {
    let own = ReasonPhrase::try_from(reason.as_bytes()).ok();
    drop_contained(reason);
    own
}

/// An empty reason, with which a status line is complete (RFC 9112 §4).
const NO_REASON: ReasonPhrase = ReasonPhrase::from_static(b"");

/// The limits of response headers. Clients refuse more, and a mistake in a loop must not reach them.
const MOST_FIELDS: usize = 100;
const MOST_HEAD_BYTES: usize = 64 * 1024;

fn too_many(fields: usize) -> ContractError {
    ContractError::new(format!("{fields} response headers; clients take {MOST_FIELDS} at most"))
}

/// PEP 3333: three digits, one space, a reason; no control characters, no white space around. The reason may be empty
/// (RFC 9112 §4), the space is required.
fn parse_status(text: &str) -> Result<(StatusCode, Option<ReasonPhrase>), ContractError> {
    let refuse =
        |why: &str| Err(ContractError::new(format!("status {} {why}; write it like \"200 OK\"", Quoted(text))));
    let Some((code, reason)) = text.split_once(' ') else {
        return Err(ContractError::new(format!(
            "status {} has no space after its code; write it like \"200 OK\", or \"200 \" without a reason",
            Quoted(text)
        )));
    };
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse("does not start with three digits and one space");
    }
    let Ok(status) = StatusCode::from_bytes(code.as_bytes()) else {
        return refuse("is below 100");
    };
    if reason.starts_with(' ') || reason.ends_with(' ') {
        return refuse("has white space around its reason");
    }
    if status.canonical_reason() == Some(reason) {
        return Ok((status, None));
    }
    let Some(bytes) = latin1::encode(reason) else {
        return refuse("holds a character above U+00FF");
    };
    match ReasonPhrase::try_from(Bytes::from(bytes.into_owned())) {
        // Bytes above ASCII are text of some encoding (RFC 9112 §4, obs-text).
        Ok(phrase) if !reason.contains(|character: char| character.is_ascii_control()) => Ok((status, Some(phrase))),
        _ => refuse("holds a control character"),
    }
}

/// RFC 9110 §7.6.1, and the names listed in RFC 2616, which PEP 3333 refers to.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "trailers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: &str, headers: &[(&str, &str)]) -> String {
        match ResponseHead::parse(status, headers).and_then(|mut head| head.check()) {
            Ok(_) => panic!("{status:?} {headers:?} was taken"),
            Err(error) => error.to_string(),
        }
    }

    /// SR-15, SR-16.
    #[test]
    fn a_status_is_three_digits_one_space_and_a_reason() {
        for status in [
            "",
            "200",
            "200OK",
            "20X OK",
            "2000 OK",
            "099 Low",
            " 200 OK",
            "200  OK",
            "200 OK ",
            "100 Continue",
            "200 O\nK",
            "200 O\u{7f}K",
            "200 O\u{1b}K",
            "200 \u{100}",
        ] {
            let message = refusal(status, &[]);
            assert!(message.contains("status"), "{message}");
        }
        let head = ResponseHead::parse("200 Bar \u{e9}", &[]).unwrap();
        assert_eq!(head.reason.unwrap().as_bytes(), b"Bar \xe9");
        assert!(ResponseHead::parse("404 Not Found", &[]).unwrap().reason.is_none());
        assert_eq!(ResponseHead::parse("200 ", &[]).unwrap().reason, Some(NO_REASON));
        assert!(ResponseHead::parse("999 Custom", &[]).is_ok());
    }

    /// SR-20 … SR-24, SR-28.
    #[test]
    fn headers_that_must_not_leave_are_refused_by_name() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("a\r\nb", "x"),
            ("caf\u{e9}", "x"),
            ("X-A", "a\r\nb"),
            ("X-A", "a\0b"),
            ("X-A", "\u{100}"),
            ("X-A", "a\u{7f}"),
            ("Connection", "close"),
            ("KEEP-ALIVE", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "x"),
            ("Trailer", "x"),
            ("Proxy-Connection", "x"),
            ("TE", "x"),
            ("Status", "200 OK"),
            ("Content-Length", "+5"),
            ("Content-Length", "5, 5"),
            ("Content-Length", ""),
        ] {
            refusal("200 OK", &[(name, value)]);
        }
        refusal("200 OK", &[("Content-Length", "5"), ("content-length", "6")]);
    }

    /// SR-29.
    #[test]
    fn headers_have_a_bound_and_some_come_once() {
        assert!(refusal("200 OK", &[("X-A", "1"); 101]).contains("101"));
        assert!(refusal("200 OK", &[("X-A", &"x".repeat(70_000))]).contains("bytes"));
        for name in ["Date", "server", "Content-Type"] {
            assert!(refusal("200 OK", &[(name, "a"), (name, "b")]).contains("twice"));
        }
    }

    /// SR-22, SR-28.
    #[test]
    fn values_are_latin1_and_repeated_lengths_collapse() {
        let mut head =
            ResponseHead::parse("200 OK", &[("X-A", " caf\u{e9}\t"), ("Content-Length", "5"), ("Content-Length", "5")])
                .unwrap();
        assert_eq!(head.check(), Ok(Some(5)));
        assert_eq!(head.headers()["x-a"].as_bytes(), b"caf\xe9");
        assert_eq!(head.headers().get_all("content-length").iter().count(), 1);
    }
}
