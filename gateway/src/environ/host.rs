//! The host of a request.
//!
//! Threads: any.

use http::uri::Scheme;
use http::{HeaderValue, Uri};

/// The host in the target, without user information. It takes precedence over the `Host` header (RFC 9112 §3.2.2), and
/// on HTTP/2 it may be the only one.
pub(crate) fn in_target(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// Whether a `Host` field names the host of the target, if the target has one. Compared as in URIs (RFC 3986 §6.2):
/// names ignore case, and a missing port is that of the scheme.
pub(crate) fn agrees(uri: &Uri, field: &HeaderValue) -> bool {
    let Some(target) = in_target(uri) else { return true };
    let Ok(field) = field.to_str() else { return false };
    let ((name, port), (other_name, other_port)) = (split(target), split(field.trim()));
    let is_https = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTPS);
    name.eq_ignore_ascii_case(other_name) && or_own_port(port, is_https) == or_own_port(other_port, is_https)
}

/// The port, or that of the scheme if the port is empty.
fn or_own_port(port: &str, is_https: bool) -> &str {
    match (port, is_https) {
        ("", true) => "443",
        ("", false) => "80",
        (port, _) => port,
    }
}

/// Splits a host into name and port; either may be empty. Accepts any text.
pub(crate) fn split(host: &str) -> (&str, &str) {
    // An IPv6 address contains colons, inside brackets.
    let address_end = host.rfind(']').map_or(0, |at| at + 1);
    match host[address_end..].find(':') {
        Some(at) => (&host[..address_end + at], &host[address_end + at + 1..]),
        None => (host, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ENV-20.
    #[test]
    fn a_host_splits_at_its_port() {
        assert_eq!(split("example.org:8080"), ("example.org", "8080"));
        assert_eq!(split("[::1]:81"), ("[::1]", "81"));
        assert_eq!(split("[::1]"), ("[::1]", ""));
        assert_eq!(split(""), ("", ""));
        assert_eq!(split(":"), ("", ""));
        assert_eq!(split("[::1"), ("[", ":1"));
        assert_eq!(in_target(&Uri::from_static("http://user:secret@host:1/")), Some("host:1"));
    }

    /// SEC-04.
    #[test]
    fn a_field_agrees_with_a_target_as_uris_are_equal() {
        let agrees = |target, field| agrees(&Uri::from_static(target), &HeaderValue::from_static(field));
        assert!(agrees("/", "any"));
        assert!(agrees("http://a:80/", "A") && agrees("https://a/", "a:443") && agrees("http://[::1]/", "[::1]:80"));
        assert!(!agrees("http://a/", "a:443") && !agrees("https://a/", "a:80") && !agrees("http://a/", ""));
        assert!(!agrees("http://a/", "a:b") && !agrees("http://a/", "a.b"));
    }
}
