//! A node: the client or proxy that made a request, as the next proxy names it.
//!
//! Threads: runtime.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client or proxy that made a request (RFC 7239 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    At(IpAddr, Option<u16>),
    /// `unknown`, or an identifier that stands for it.
    Hidden,
}

impl Node {
    /// An address, `unknown` or an obfuscated identifier, with or without a port; IPv6 in brackets or bare.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self::at(IpAddr::V6(address), None));
        }
        // The port's colon is the only colon outside of brackets.
        let name_end = text.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match text.get(name_end..)?.find(':') {
            Some(at) => (&text[..name_end + at], Some(parse_port(&text[name_end + at + 1..])?)),
            None => (text, None),
        };
        if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
            // A port without its address is useless.
            return Some(Self::Hidden);
        }
        let address = match name.strip_prefix('[') {
            Some(address) => IpAddr::V6(address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
            None => IpAddr::V4(name.parse::<Ipv4Addr>().ok()?),
        };
        Some(Self::at(address, port.flatten()))
    }

    /// Normalises an IPv4 address that is written as IPv6, as by a dual-stack socket of the proxy.
    fn at(address: IpAddr, port: Option<u16>) -> Self {
        Self::At(address.to_canonical(), port)
    }

    pub(super) fn parts(self) -> (Option<IpAddr>, Option<u16>) {
        match self {
            Self::At(address, port) => (Some(address), port),
            Self::Hidden => (None, None),
        }
    }
}

/// A port; `Some(None)` for an obfuscated one; `None` for invalid text.
#[expect(clippy::option_option, reason = "the outer one is for `?`, the inner one is a port that is hidden")]
fn parse_port(text: &str) -> Option<Option<u16>> {
    if is_obfuscated(text) {
        return Some(None);
    }
    // `parse` alone would accept a sign and any number of zeros.
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok().map(Some) } else { None }
}

/// RFC 7239 §6.3: an underscore, and letters, digits and `._-`.
fn is_obfuscated(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_letter))
}
