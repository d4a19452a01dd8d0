//! The header fields in which proxies say what they saw.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use http::header::{self, HeaderMap};

use super::{Forwarded, Rules};

/// Where the address of the client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    None,
    /// RFC 7239; it says the scheme as well.
    Forwarded,
    XForwardedFor,
}

/// A field that is believed and cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) HeaderName);

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// What is taken off every request.
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

/// What a trusted peer says, as far as it is to be believed.
pub(super) fn read(rules: &Rules, headers: &HeaderMap) -> Result<Forwarded, Malformed> {
    let mut forwarded = Forwarded::default();
    // How many hops there are, and which of them the client made.
    let mut hops = None;
    match rules.source {
        Source::None => {}
        Source::Forwarded => {
            let elements = list(headers, &header::FORWARDED)?;
            let elements = elements.iter().map(|text| element(text)).collect::<Result<Vec<_>, _>>()?;
            let nodes: Vec<_> = elements.iter().map(|element| element.node).collect();
            if let Some(at) = outermost(rules, &nodes) {
                forwarded.https = elements[at].https;
                (forwarded.client, forwarded.port) = nodes[at].parts();
            }
        }
        Source::XForwardedFor => {
            let nodes = list(headers, &FOR)?.iter().map(|text| node(text)).collect::<Option<Vec<_>>>();
            let nodes = nodes.ok_or(Malformed(FOR))?;
            if let Some(at) = outermost(rules, &nodes) {
                (forwarded.client, forwarded.port) = nodes[at].parts();
                hops = Some((nodes.len(), at));
            }
        }
    }
    if rules.proto {
        let schemes = list(headers, &PROTO)?;
        let scheme = match (schemes.len(), hops) {
            (0, _) => None,
            (1, _) => schemes.first(),
            (count, Some((hops, at))) if count == hops => schemes.get(at),
            _ => return Err(Malformed(PROTO)),
        };
        if let Some(scheme) = scheme {
            forwarded.https = Some(is_https(scheme).ok_or(Malformed(PROTO))?);
        }
    }
    if rules.prefix
        && let [prefix, more @ ..] = &*list(headers, &PREFIX)?
    {
        let prefix = prefix.trim_end_matches('/');
        let is_path = prefix.is_empty() || prefix.starts_with('/') && !prefix.contains(['?', '#', '\\', ' ']);
        if !is_path || prefix.starts_with("//") || !more.is_empty() {
            return Err(Malformed(PREFIX));
        }
        forwarded.prefix = Some(prefix.to_owned());
    }
    Ok(forwarded)
}

/// The members of all fields of a name, in order. Commas in quotes are no ends.
fn list(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<String>, Malformed> {
    let malformed = || Malformed(name.clone());
    let mut members = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed())?;
        members.extend(split_quoted(text, ',').ok_or_else(malformed)?.into_iter().map(|part| part.trim().to_owned()));
    }
    if members.iter().any(String::is_empty) {
        return Err(malformed());
    }
    Ok(members)
}

/// Splits where `separator` is not in quotes; `None` if a quote is not closed.
fn split_quoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut quoted = false;
    let mut escaped = false;
    let parts = text.split(|character| {
        let ends = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

/// Who made a request, as a proxy knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    At(IpAddr, Option<u16>),
    /// `unknown`, or a name that hides it.
    Hidden,
}

impl Node {
    fn parts(self) -> (Option<IpAddr>, Option<u16>) {
        match self {
            Self::At(address, port) => (Some(address), port),
            Self::Hidden => (None, None),
        }
    }
}

/// The hop that no trusted proxy made: the first from the right, or else the last.
fn outermost(rules: &Rules, nodes: &[Node]) -> Option<usize> {
    let is_proxy = |node: &Node| matches!(node, Node::At(address, _) if rules.trust(*address));
    nodes.iter().rposition(|node| !is_proxy(node)).or(if nodes.is_empty() { None } else { Some(0) })
}

/// An address with or without a port; IPv6 in brackets or bare.
fn node(text: &str) -> Option<Node> {
    if text.eq_ignore_ascii_case("unknown") || text.starts_with('_') {
        return Some(Node::Hidden);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Node::At(address, None));
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(Node::At(socket.ip(), Some(socket.port())));
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse().ok().map(|address| Node::At(IpAddr::V6(address), None))
}

/// One hop of `Forwarded`.
struct Element {
    node: Node,
    https: Option<bool>,
}

fn element(text: &str) -> Result<Element, Malformed> {
    parse_element(text).ok_or(Malformed(header::FORWARDED))
}

fn parse_element(text: &str) -> Option<Element> {
    let mut element = Element { node: Node::Hidden, https: None };
    for pair in split_quoted(text, ';')? {
        let (name, value) = pair.trim().split_once('=')?;
        let value = unquote(value)?;
        if name.eq_ignore_ascii_case("for") {
            // A hidden port hides no address.
            element.node = node(value.split_once(":_").map_or(&*value, |(address, _)| address))?;
        } else if name.eq_ignore_ascii_case("proto") {
            element.https = Some(is_https(&value)?);
        }
    }
    Some(element)
}

fn unquote(value: &str) -> Option<String> {
    let Some(inside) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let mut text = String::new();
    let mut characters = inside.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
}

fn is_https(scheme: &str) -> Option<bool> {
    match () {
        () if scheme.eq_ignore_ascii_case("https") => Some(true),
        () if scheme.eq_ignore_ascii_case("http") => Some(false),
        () => None,
    }
}
