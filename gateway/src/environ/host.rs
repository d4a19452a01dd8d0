//! The host of a request.
//!
//! Threads: any.

use std::net::Ipv6Addr;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};

/// The host in the target, without user information. It takes precedence over the `Host` header (RFC 9112 §3.2.2), and
/// on HTTP/2 it may be the only one.
pub(crate) fn in_target(uri: &Uri) -> Option<&str> {
    uri.authority().map(in_authority)
}

/// The host and the port of an authority, without user information.
pub(crate) fn in_authority(authority: &Authority) -> &str {
    let authority = authority.as_str();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether a `Host` field, or the authority of a target, is a host and perhaps a port (RFC 9112 §3.2, RFC 3986 §3.2.2).
/// An empty field is one: the sender knows no host.
pub(crate) fn is_valid(field: &[u8]) -> bool {
    let (is_host, rest) = match field {
        [b'[', literal @ ..] => match literal.iter().position(|byte| *byte == b']') {
            Some(end) => (is_ip_literal(&literal[..end]), &literal[end + 1..]),
            None => return false,
        },
        _ => {
            let (name, rest) = field.split_at(field.iter().position(|byte| *byte == b':').unwrap_or(field.len()));
            (is_name(name) && (!name.is_empty() || rest.is_empty()), rest)
        }
    };
    is_host
        && match rest {
            [b':', port @ ..] => is_port(port),
            rest => rest.is_empty(),
        }
}

/// A registered name, or an IPv4 address, which has no other characters.
fn is_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if is_of_name(*byte) => rest,
            _ => return false,
        }
    }
}

/// Whether a byte stands for itself in a name: *unreserved* or *sub-delims*.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// What is between the brackets: an IPv6 address, or an address of a later version.
fn is_ip_literal(address: &[u8]) -> bool {
    if let [b'v' | b'V', later @ ..] = address {
        let mut parts = later.splitn(2, |byte| *byte == b'.');
        let (version, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !rest.is_empty()
            && rest.iter().all(|byte| is_of_name(*byte) || *byte == b':');
    }
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, which stands for the scheme's port, or the number of a port.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
            <= 0xFFFF
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
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        let hosts = "a A.example. xn--bcher-kva.example a_b a%41 a-._~!$&'()*+,;= 1.2.3.4 1.2.3.4.5 999.1.1.1 [::1] [1:2::] \
                     [::ffff:1.2.3.4] [v1.a:b] [VF.~] a: a:0 a:80 a:65535 a:00080 [::1]: [::1]:8080 1.2.3.4:80";
        for host in hosts.split(' ').chain([""]) {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        let others = "a:x a:-1 a:+1 a:65536 a:99999 a:4294967376 a:18446744073709551696 a:80:80 a:80x 1.2.3.4:5:6 ::1 \
                      :: : :80 [ [] ] [::1 ::1] [::1]] [[::1] [::1]a [::1]80 [::1%25lo] [::1%lo] [zz] [1.2.3.4] [::1:] \
                      [v.a] [v1] [v1.] [vg.a] [v1.[] [1:2:3:4:5:6:7:8:9] [::12345] a%zz a%4 a% %:80 u@a u:p@a a/ a?b a#b \
                      a\\b a\"b <a> {a} a|b a^b a`b http://a";
        for host in others.split(' ').chain([" ", "a b", "a\t", "b\u{e9}cher", "a\u{7f}", "a\0"]) {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
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
