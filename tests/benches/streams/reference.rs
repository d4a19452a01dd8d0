//! An independent parser, by RFC 9112, of the requests in the bytes that a client sends.
//!
//! The parser is as lenient as the RFC permits a server to be. It stops at bytes beyond that: a server may then send
//! one error response, and the remaining bytes contain no request.

use crate::feature::Feature;
use crate::lines::{Line, Lines, trim};

/// A request and its properties.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    /// The path without scheme and authority.
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) features: Vec<Feature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// The stream ends within the request, or its framing is invalid. The request may have one response, and no request
    /// follows it.
    Broken,
}

/// The reason why parsing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stream ends after a complete request.
    Boundary,
    /// The stream ends within a head or a body.
    Within,
    /// The request is the last one of its connection; the parser does not read the bytes after it.
    Last,
    /// The bytes are not a valid request.
    Invalid(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) requests: Vec<Request>,
    pub(crate) end: End,
}

impl Reading {
    /// The number of complete requests, which can be answered.
    pub(crate) fn whole(&self) -> usize {
        self.requests.iter().filter(|request| request.body != Body::Broken).count()
    }

    /// The maximum number of responses.
    pub(crate) fn most_answers(&self) -> usize {
        let broken = self.requests.last().is_some_and(|request| request.body == Body::Broken);
        let refusal = matches!(self.end, End::Invalid(_) | End::Within) && !broken;
        self.requests.len() + usize::from(refusal)
    }
}

/// How a body is delimited.
enum Framing {
    Length(u64),
    Chunked,
}

/// The result of the header fields that affect the framing of the request.
#[derive(Default)]
struct Head {
    hosts: Vec<Vec<u8>>,
    lengths: Vec<Vec<u8>>,
    encodings: Vec<Vec<u8>>,
    connection: Vec<Vec<u8>>,
}

/// The maximum length of a request body in the application.
const LIMIT: u64 = crate::application::BODY_LIMIT;

/// Parses all requests of a stream.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let mut lines = Lines::new(bytes);
    let mut requests = Vec::new();
    let end = loop {
        let (mut request, framing, is_last) = match read_head(&mut lines) {
            Ok(read) => read,
            Err(end) => break end,
        };
        let body = read_body(&mut lines, &framing, &mut request.features);
        let is_broken = body.is_err();
        request.body = body.as_ref().map_or(Body::Broken, |body| Body::Whole(body.clone()));
        if is_broken {
            request.features.push(Feature::BodyBroken);
        }
        request.features.sort_unstable();
        request.features.dedup();
        requests.push(request);
        match body {
            Err(end) => break end,
            Ok(_) if is_last => break End::Last,
            Ok(_) => {}
        }
    };
    Reading { requests, end }
}

/// Parses a request head; returns the request without its body, the framing of the body, and whether the request is the
/// last one of the connection.
fn read_head(lines: &mut Lines<'_>) -> Result<(Request, Framing, bool), End> {
    let mut features = Vec::new();
    let first = loop {
        if lines.is_at_end() {
            return Err(End::Boundary);
        }
        let line = lines.next(&mut features).ok_or(End::Within)?;
        if !line.text.is_empty() {
            break line;
        }
        features.push(Feature::LeadingEmptyLine);
    };
    let (method, target, version) = request_line(&first, &mut features).map_err(End::Invalid)?;
    let (path, query) = split_target(&method, &target, &mut features);
    let mut request = Request { method, path, query, body: Body::Broken, features };
    let features = &mut request.features;
    if request.path.windows(7).any(|part| part == b"/async/") {
        features.push(Feature::AsyncRoute);
    }
    if version == Version::Simple {
        return Ok((request, Framing::Length(0), true));
    }
    let head = fields(lines, features)?;
    let mut is_last = head.is_last(version, features);
    if version != Version::Http10 && head.hosts.is_empty() {
        features.push(Feature::HostMissing);
    }
    if head.hosts.len() > 1 {
        features.push(Feature::HostRepeated);
    }
    if head.hosts.iter().any(|host| host.is_empty() || !host.iter().all(|byte| is_host(*byte))) {
        features.push(Feature::HostOdd);
    }
    // RFC 9112 §6.1: the server closes the connection after the response in both cases.
    if !head.encodings.is_empty() && version == Version::Http10 {
        is_last = true;
        features.push(Feature::EncodingOnHttp10);
    }
    if !head.encodings.is_empty() && !head.lengths.is_empty() {
        is_last = true;
        features.push(Feature::EncodingAndLength);
    }
    let framing = head.framing(features).map_err(End::Invalid)?;
    Ok((request, framing, is_last))
}

fn read_body(lines: &mut Lines<'_>, framing: &Framing, features: &mut Vec<Feature>) -> Result<Vec<u8>, End> {
    match framing {
        Framing::Length(length) => {
            if *length > LIMIT {
                features.push(Feature::LengthAboveLimit);
            }
            lines.take(*length).map(<[u8]>::to_vec).ok_or(End::Within)
        }
        Framing::Chunked => lines.chunked(features),
    }
}

// ── the request line ─────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http11,
    Http10,
    /// HTTP/0.9: a request line without a version, and no fields.
    Simple,
}

type RequestLine = (Vec<u8>, Vec<u8>, Version);

fn request_line(line: &Line<'_>, features: &mut Vec<Feature>) -> Result<RequestLine, &'static str> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r');
    let words: Vec<&[u8]> = line.text.split(is_space).filter(|word| !word.is_empty()).collect();
    let plain: Vec<&[u8]> = line.text.split(|byte| *byte == b' ').collect();
    if words != plain {
        features.push(Feature::WhitespaceInRequestLine);
    }
    let [method, rest @ ..] = words.as_slice() else { return Err("an empty request line") };
    if !method.iter().all(|byte| is_token(*byte)) {
        return Err("a method that is no token");
    }
    if method.iter().any(u8::is_ascii_lowercase) {
        features.push(Feature::LowerCaseMethod);
    } else if !method.iter().all(u8::is_ascii_uppercase) {
        features.push(Feature::UnusualMethod);
    }
    let (target, version) = match rest {
        [] => return Err("a request line of one word"),
        [target] => {
            features.push(Feature::SimpleRequest);
            return Ok((method.to_vec(), target.to_vec(), Version::Simple));
        }
        [target, version] => (target.to_vec(), *version),
        [target @ .., version] => {
            features.push(Feature::SpaceInTarget);
            (target.join(&b' '), *version)
        }
    };
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ ..]
            if !minor.is_empty() && minor.iter().all(u8::is_ascii_digit) =>
        {
            features.push(Feature::MinorVersion);
            Version::Http11
        }
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            features.push(Feature::OtherVersion);
            Version::Http11
        }
        _ => return Err("no version"),
    };
    Ok((method.to_vec(), target, version))
}

fn split_target(method: &[u8], target: &[u8], features: &mut Vec<Feature>) -> (Vec<u8>, Vec<u8>) {
    let mut rest = target;
    if method == b"CONNECT" {
        features.push(Feature::Connect);
    } else if target == b"*" {
        features.push(Feature::AsteriskTarget);
    } else if let Some(at) = target.windows(3).position(|window| window == b"://").filter(|_| target[0] != b'/') {
        features.push(Feature::AbsoluteTarget);
        let authority = &target[at + 3..];
        let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
        rest = &authority[end..];
    } else if !target.starts_with(b"/") {
        features.push(Feature::OddTarget);
    }
    if target.iter().any(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
        features.push(Feature::RawByteInTarget);
    }
    if target.iter().any(|byte| br#""<>\^`{|}[]"#.contains(byte)) {
        features.push(Feature::UnsafeCharacterInTarget);
    }
    if let Some(at) = rest.iter().position(|byte| *byte == b'#') {
        features.push(Feature::FragmentInTarget);
        rest = &rest[..at];
    }
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let percents = rest.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if percents.into_iter().any(|(at, _)| !is_hex(rest.get(at + 1)) || !is_hex(rest.get(at + 2))) {
        features.push(Feature::BadPercentInTarget);
    }
    let (path, query) = match rest.iter().position(|byte| *byte == b'?') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &rest[..0]),
    };
    (percent_encoding::percent_decode(path).collect(), query.to_vec())
}

// ── the fields ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn fields(lines: &mut Lines<'_>, features: &mut Vec<Feature>) -> Result<Head, End> {
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    loop {
        let line = lines.next(features).ok_or(End::Within)?;
        if line.text.is_empty() {
            break;
        }
        if matches!(line.text[0], b' ' | b'\t') {
            let Some((_, value)) = fields.last_mut() else { return Err(End::Invalid("a fold before the first field")) };
            features.push(Feature::FoldedField);
            value.push(b' ');
            value.extend(trim(line.text));
            continue;
        }
        let Some(at) = line.text.iter().position(|byte| *byte == b':') else {
            features.push(Feature::FieldWithoutColon);
            continue;
        };
        let name = &line.text[..at];
        if name.is_empty() || name.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(End::Invalid("a field name that is empty or has a space in it"));
        }
        if !name.iter().all(|byte| is_token(*byte)) {
            features.push(Feature::OddFieldName);
        }
        // RFC 9112 §2.2: a server that does not refuse a bare CR replaces it by a space.
        let value: Vec<u8> = line.text[at + 1..].iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }).collect();
        fields.push((name.to_ascii_lowercase(), trim(&value).to_vec()));
    }
    let mut head = Head::default();
    for (name, value) in fields {
        if value.contains(&0) {
            features.push(Feature::NulInField);
        } else if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            features.push(Feature::ControlInField);
        }
        if !value.is_ascii() {
            features.push(Feature::ObsText);
        }
        match name.as_slice() {
            b"host" => head.hosts.push(value),
            b"content-length" => head.lengths.push(value),
            b"transfer-encoding" => head.encodings.push(value),
            b"connection" => head.connection.extend(elements(&value)),
            b"expect" => features.push(Feature::Expectation),
            _ => {}
        }
    }
    Ok(head)
}

impl Head {
    fn says(&self, option: &[u8]) -> bool {
        self.connection.iter().any(|said| said == option)
    }

    /// Whether the connection ends after the request.
    fn is_last(&self, version: Version, features: &mut Vec<Feature>) -> bool {
        let (closes, keeps) = (self.says(b"close"), self.says(b"keep-alive"));
        if closes && keeps {
            features.push(Feature::CloseAndKeepAlive);
        }
        if version != Version::Http10 {
            return closes && !keeps;
        }
        // nginx searches for the token anywhere in the field value.
        let nearly = self.connection.iter().any(|said| said.windows(10).any(|part| part == b"keep-alive"));
        if nearly && !keeps {
            features.push(Feature::OddKeepAlive);
        }
        !nearly
    }

    fn framing(&self, features: &mut Vec<Feature>) -> Result<Framing, &'static str> {
        let length = self.length(features);
        if self.encodings.is_empty() {
            return length.map(Framing::Length);
        }
        // RFC 9112 §6.3: Transfer-Encoding overrides Content-Length, even if the latter is invalid.
        if length.is_err() {
            features.push(Feature::BadLengthBesideEncoding);
        }
        let elements: Vec<Vec<u8>> = self.encodings.iter().flat_map(|value| elements(value)).collect();
        let codings: Vec<&[u8]> = elements.iter().map(Vec::as_slice).filter(|coding| !coding.is_empty()).collect();
        if codings.len() < elements.len() {
            features.push(Feature::EncodingElementEmpty);
        }
        match codings.as_slice() {
            [b"chunked"] => {}
            [others @ .., b"chunked"] => {
                let is_repeated = others.contains(&b"chunked".as_slice());
                features.push(if is_repeated { Feature::ChunkedRepeated } else { Feature::OtherEncoding });
            }
            _ => return Err("a transfer coding whose last is not chunked"),
        }
        Ok(Framing::Chunked)
    }

    fn length(&self, features: &mut Vec<Feature>) -> Result<u64, &'static str> {
        let values: Vec<Vec<u8>> = self.lengths.iter().flat_map(|value| elements(value)).collect();
        let Some(first) = values.first() else { return Ok(0) };
        if values.len() > 1 {
            features.push(Feature::LengthRepeated);
        }
        if values.iter().any(|value| value != first) {
            return Err("two lengths");
        }
        if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
            return Err("a length that is no number");
        }
        if first.len() > 1 && first[0] == b'0' {
            features.push(Feature::LengthLeadingZeros);
        }
        std::str::from_utf8(first).ok().and_then(|text| text.parse().ok()).ok_or("a length beyond all numbers")
    }
}

/// The elements of a list value, in lower case.
fn elements(value: &[u8]) -> Vec<Vec<u8>> {
    value.split(|byte| *byte == b',').map(|element| trim(element).to_ascii_lowercase()).collect()
}

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(&byte)
}
