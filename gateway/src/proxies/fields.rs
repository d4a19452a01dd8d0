//! Parsing of forwarding header fields.
//!
//! Every list is read from its end: each proxy appends to it, so the elements of trusted hops are on the right, and the
//! client's text is to the left of them. The reader stops at the client's hop, so the client cannot make a field
//! malformed.
//!
//! Threads: runtime.

use http::HeaderName;
use http::header::{self, HeaderMap};

use super::node::Node;
use super::{Forwarded, Rules};

/// The header field for the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressField {
    None,
    /// RFC 7239; includes the scheme.
    Forwarded,
    XForwardedFor,
}

/// A trusted field that is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) HeaderName);

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The fields that are removed from every request.
const STRIPPED: [HeaderName; 7] = [
    header::FORWARDED,
    FOR,
    PROTO,
    PREFIX,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
];

pub(super) fn strip(headers: &mut HeaderMap) {
    for name in STRIPPED {
        headers.remove(name);
    }
}

/// The trusted content of the fields from a trusted peer.
pub(super) fn read(rules: &Rules, headers: &HeaderMap) -> Result<Forwarded, Malformed> {
    let client = match rules.address_field {
        AddressField::None => None,
        AddressField::Forwarded => client_hop(rules, members(headers, &header::FORWARDED, Quotes::Group).map(element))
            .ok_or(Malformed(header::FORWARDED))?,
        AddressField::XForwardedFor => {
            client_hop(rules, members(headers, &FOR, Quotes::Plain).map(plain_hop)).ok_or(Malformed(FOR))?
        }
    };
    let mut forwarded = Forwarded::default();
    if let Some((hop, _)) = &client {
        (forwarded.client, forwarded.port) = hop.node.parts();
        forwarded.https = hop.https;
    }
    if rules.proto {
        let distance = client.map_or(0, |(_, distance)| distance);
        // One scheme per hop, appended like the addresses. If there are fewer, the leftmost one is of the hop closest
        // to the client.
        if let Some(scheme) = members(headers, &PROTO, Quotes::Plain).take(distance + 1).last() {
            forwarded.https = Some(is_https(scheme).ok_or(Malformed(PROTO))?);
        }
    }
    if rules.prefix
        && let Some(prefix) = members(headers, &PREFIX, Quotes::Plain).next()
    {
        forwarded.prefix = Some(path_prefix(prefix).ok_or(Malformed(PREFIX))?);
    }
    Ok(forwarded)
}

/// The first hop from the right that is not a trusted proxy, or else the leftmost; and the number of hops to its right.
/// The outer `None` means that a hop up to there is malformed, which a trusted proxy wrote.
#[expect(clippy::option_option, reason = "the outer one is for `?`, the inner one for a list without members")]
fn client_hop(rules: &Rules, hops: impl Iterator<Item = Option<Hop>>) -> Option<Option<(Hop, usize)>> {
    let mut client = None;
    for (distance, hop) in hops.enumerate() {
        let hop = hop?;
        let is_proxy = matches!(hop.node, Node::At(address, _) if rules.trust(address));
        client = Some((hop, distance));
        if !is_proxy {
            break;
        }
    }
    Some(client)
}

/// One hop: the node that made the request, and whether over HTTPS.
struct Hop {
    node: Node,
    https: Option<bool>,
}

/// A member of `X-Forwarded-For`.
fn plain_hop(text: &[u8]) -> Option<Hop> {
    Some(Hop { node: Node::parse(text)?, https: None })
}

/// An element of `Forwarded`. Other parameters than `for` and `proto` may have any value.
fn element(text: &[u8]) -> Option<Hop> {
    let (mut node, mut https) = (None, None);
    for pair in (FromRight { rest: Some(text), separator: b';', quotes: Quotes::Group }) {
        // RFC 7239 §4: a pair may be empty, and a parameter comes once.
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        let value = unquote(value.get(1..)?)?;
        if name.eq_ignore_ascii_case(b"for") {
            if node.replace(Node::parse(&value)?).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"proto") && https.replace(is_https(&value)?).is_some() {
            return None;
        }
    }
    Some(Hop { node: node.unwrap_or(Node::Hidden), https })
}

/// The value of `X-Forwarded-Prefix`, without trailing slashes.
fn path_prefix(text: &[u8]) -> Option<String> {
    let prefix = std::str::from_utf8(text).ok()?.trim_end_matches('/');
    let is_path = |byte: u8| byte.is_ascii_graphic() && !b"?#\\".contains(&byte);
    let has_root = prefix.is_empty() || prefix.starts_with('/') && !prefix.starts_with("//");
    (has_root && prefix.bytes().all(is_path)).then(|| prefix.to_owned())
}

/// Some proxies send `ws` and `wss` for the request of a WebSocket.
fn is_https(scheme: &[u8]) -> Option<bool> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("https") || is("wss") => Some(true),
        () if is("http") || is("ws") => Some(false),
        () => None,
    }
}

/// The members of all fields of a name, from the last to the first, without empty ones (RFC 9110 §5.6.1.2).
fn members<'h>(headers: &'h HeaderMap, name: &HeaderName, quotes: Quotes) -> impl Iterator<Item = &'h [u8]> {
    let fields = headers.get_all(name).into_iter().rev();
    let members = fields.flat_map(move |value| FromRight { rest: Some(value.as_bytes()), separator: b',', quotes });
    members.filter(|member| !member.is_empty())
}

/// Whether quotes protect separators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Plain,
    Group,
}

/// The parts of a text between separators, from the last to the first, trimmed.
///
/// Quotes are also matched from the right: a quote that the client has left open affects only text to the left of the
/// proxies' members.
struct FromRight<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
    quotes: Quotes,
}

impl<'t> Iterator for FromRight<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let text = self.rest.take()?;
        let mut quoted = false;
        for (at, byte) in text.iter().enumerate().rev() {
            if *byte == b'"' && self.quotes == Quotes::Group {
                quoted ^= !is_escaped(&text[..at]);
            } else if *byte == self.separator && !quoted {
                self.rest = Some(&text[..at]);
                return Some(text[at + 1..].trim_ascii());
            }
        }
        Some(text.trim_ascii())
    }
}

/// Whether the next byte is escaped: the text ends in an odd number of backslashes.
fn is_escaped(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// A token unchanged, or the content of a quoted string (RFC 9110 §5.6.4).
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let Some(inside) = value.strip_prefix(b"\"") else { return (!value.contains(&b'"')).then(|| value.to_vec()) };
    let mut text = Vec::new();
    let mut bytes = inside.strip_suffix(b"\"")?.iter().copied();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'\\' => bytes.next()?,
            b'"' => return None,
            byte => byte,
        });
    }
    Some(text)
}
