//! Header fields: the keys of their variables, and their text.
//!
//! Threads: any.

use std::borrow::Cow;

use http::Version;
use http::header::{self, AsHeaderName, HeaderMap, HeaderName, HeaderValue};

use crate::latin1;

/// Calls `look` with the header name for the variable `HTTP_…`; `key` is the variable's name without that prefix. A
/// name of up to 64 bytes is built on the stack.
///
/// Returns `None` for headers that have no such variable:
///
/// * names with `_`, which would be confused with the same name with `-`;
/// * `Proxy`, which programs take for their own configuration (httpoxy);
/// * `Content-Type` and `Content-Length`, which have their own variables;
/// * `Transfer-Encoding`, which no longer applies: bodies arrive decoded;
/// * `Upgrade`, which is ignored (RFC 9110 §7.8): an application has no connection that it could take over. Frameworks
///   that see the field try to, and fail; without it they refuse such a request themselves.
pub(crate) fn with_header_name<R>(key: &str, look: impl FnOnce(&str) -> Option<R>) -> Option<R> {
    if key.is_empty() || key.bytes().any(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        return None;
    }
    let (mut on_stack, mut on_heap) = ([0; 64], Vec::new());
    let name = match on_stack.get_mut(..key.len()) {
        Some(place) => place,
        None => {
            on_heap.resize(key.len(), 0);
            on_heap.as_mut_slice()
        }
    };
    for (letter, byte) in name.iter_mut().zip(key.bytes()) {
        *letter = if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    }
    let name = std::str::from_utf8(name).ok()?;
    if is_visible(name) { look(name) } else { None }
}

/// The `HTTP_…` key of a header, visible or not.
pub(crate) fn key(name: &HeaderName) -> String {
    "HTTP_".chars().chain(name.as_str().bytes().map(|byte| char::from(in_key(byte)))).collect()
}

/// Whether `key` is the `HTTP_…` key of a header.
pub(crate) fn is_key_of(key: &str, name: &HeaderName) -> bool {
    key.strip_prefix("HTTP_").is_some_and(|key| key.bytes().eq(name.as_str().bytes().map(in_key)))
}

/// The byte of a key for one of a name.
fn in_key(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }
}

/// Whether a header has a variable `HTTP_…`; [`with_header_name`] lists those that have none.
pub(crate) fn is_visible(name: &str) -> bool {
    !matches!(name, "content-type" | "content-length" | "transfer-encoding" | "upgrade" | "proxy")
        && !name.contains('_')
}

/// The value of a header as text. Repeated fields are joined: cookies with `"; "` (RFC 9113 §8.2.3), all others with
/// `","`.
pub(crate) fn value<'h>(headers: &'h HeaderMap, name: impl AsHeaderName + AsRef<str>) -> Option<Cow<'h, str>> {
    let is_cookie = name.as_ref() == "cookie";
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(text(first)) };
    let separator = if is_cookie { "; " } else { "," };
    let mut joined = text(first).into_owned();
    for value in std::iter::once(second).chain(values) {
        joined.push_str(separator);
        joined.push_str(&text(value));
    }
    Some(Cow::Owned(joined))
}

/// One field as text, trimmed of white space.
pub(crate) fn text(value: &HeaderValue) -> Cow<'_, str> {
    latin1::decode(value.as_bytes().trim_ascii())
}

/// Whether the client waits for `100 Continue`. A client on HTTP/1.0 does not know that response (RFC 9110 §10.1.1).
pub(crate) fn expects_continue(version: Version, headers: &HeaderMap) -> bool {
    version >= Version::HTTP_11
        && headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Sets the length of a body that was read in full.
pub(crate) fn declare_length(headers: &mut HeaderMap, length: u64) {
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ENV-13, ENV-14, ENV-42, SEC-01, SEC-02.
    #[test]
    fn a_key_names_one_header_or_none() {
        let header_name = |key: &str| with_header_name(key, |name| HeaderName::from_bytes(name.as_bytes()).ok());
        assert_eq!(header_name("ACCEPT_LANGUAGE").unwrap(), "accept-language");
        let (long, field) = (["LONG"; 50].join("_"), ["long"; 50].join("-"));
        assert_eq!(header_name(&long).unwrap(), *field);
        for key in [
            "",
            "CONTENT_TYPE",
            "CONTENT_LENGTH",
            "TRANSFER_ENCODING",
            "UPGRADE",
            "PROXY",
            "Accept",
            "ACCEPT-LANGUAGE",
            "A B",
        ] {
            assert_eq!(header_name(key), None, "{key}");
        }
        assert!(!is_visible("x_forwarded_for"));
        let name = HeaderName::from_static("x-forwarded-for");
        assert_eq!(key(&name), "HTTP_X_FORWARDED_FOR");
        assert!(is_key_of("HTTP_X_FORWARDED_FOR", &name));
        for other in
            ["HTTP_X_FORWARDED_FO", "HTTP_X_FORWARDED_FORX", "X_FORWARDED_FOR", "HTTP_X-FORWARDED-FOR", "HTTP_"]
        {
            assert!(!is_key_of(other, &name), "{other}");
        }
    }
}
