//! The host that a request was sent to.

use http::Uri;

/// The host in the target, without user information: what wins over the `Host` header (RFC 9112 §3.2.2), and all there is on
/// HTTP/2.
pub(crate) fn in_target(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// A host as its name and its port; either may be empty. Takes anything a peer may send.
pub(crate) fn split(host: &str) -> (&str, &str) {
    // An IPv6 address has colons of its own, inside brackets.
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
}
