//! The meaning of a client's bytes by RFC 9112 alone, independent of any server.

use std::ops::Range;

/// The requests in a client's bytes, in order, and the bytes after the last one.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) requests: Vec<Request>,
    pub(crate) tail: Tail,
}

/// The bytes after the last request that can be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// There are no further bytes.
    Clean,
    /// A partial head starts at this byte.
    PartialHead(usize),
    /// The body of the last request is incomplete.
    PartialBody,
    /// The bytes from this one on cannot be parsed: a server must refuse them, with at most one answer.
    Broken(usize),
    /// The body of the last request cannot be parsed from this byte on. The server sends one answer, to that request.
    BrokenBody(usize),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) http10: bool,
    /// Where the head ends.
    pub(crate) head: Range<usize>,
    /// The end of the message, or of the bytes.
    pub(crate) end: usize,
    pub(crate) body: Vec<u8>,
    pub(crate) declared: Option<u64>,
    pub(crate) has_body: bool,
    pub(crate) is_complete: bool,
    /// A server may refuse the request with one of these statuses, although the end of the request is known.
    pub(crate) refusals: Vec<u16>,
    /// The connection must end after the answer.
    pub(crate) closes: bool,
    pub(crate) expects: bool,
}

/// Parses as many requests as possible.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let mut requests: Vec<Request> = Vec::new();
    let mut at = 0;
    let tail = loop {
        // §2.2: empty lines before a request line are ignored.
        let mut has_lone_feed = false;
        loop {
            match &bytes[at..] {
                [b'\r', b'\n', ..] => at += 2,
                [b'\n', ..] => (at, has_lone_feed) = (at + 1, true),
                _ => break,
            }
        }
        if at == bytes.len() {
            break Tail::Clean;
        }
        let Some((length, is_plain)) = head_length(&bytes[at..]) else {
            break match has_bare_return(&bytes[at..]) {
                true => Tail::Broken(at),
                false => Tail::PartialHead(at),
            };
        };
        let Some(mut request) = read_head(&bytes[at..at + length]) else { break Tail::Broken(at) };
        if !is_plain || has_lone_feed {
            // §2.2: a recipient may treat a lone LF as a line end.
            request.refusals.push(400);
        }
        request.head = at..at + length;
        let body = read_body(&mut request, &bytes[at + length..]);
        request.end = at + length + body.length;
        at = request.end;
        let closes = request.closes;
        requests.push(request);
        match body.end {
            BodyEnd::Complete if closes => break Tail::Clean,
            BodyEnd::Complete => {}
            BodyEnd::Partial => break Tail::PartialBody,
            BodyEnd::Broken => break Tail::BrokenBody(at),
        }
    };
    Reading { requests, tail }
}

/// A CR without LF makes a head invalid (§2.2).
fn has_bare_return(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// The length of the head, and whether all of its lines end with CRLF.
fn head_length(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut line = 0;
    let mut is_plain = true;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let has_return = at > 0 && bytes[at - 1] == b'\r' && at > line;
        is_plain &= has_return;
        let length = at - line - usize::from(has_return);
        if length == 0 {
            return Some((at + 1, is_plain));
        }
        line = at + 1;
    }
    None
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_field(line: &[u8]) -> bool {
    line.iter().position(|byte| *byte == b':').is_some_and(|colon| is_token(&line[..colon]))
}

/// Returns `None` if a server must refuse the head, because the end of the message is unknown.
fn read_head(head: &[u8]) -> Option<Request> {
    if has_bare_return(head) {
        return None;
    }
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !is_token(method.as_bytes()) || target.is_empty() {
        return None;
    }
    let http10 = match version {
        "HTTP/1.0" => true,
        "HTTP/1.1" => false,
        _ => return None,
    };
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        http10,
        head: 0..0,
        end: 0,
        body: Vec::new(),
        declared: None,
        has_body: false,
        is_complete: false,
        refusals: Vec::new(),
        closes: false,
        expects: false,
    };
    let (mut hosts, mut codings, mut lengths, mut asks_to_keep) = (0, Vec::new(), Vec::new(), false);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        if !is_token(name.as_bytes()) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        let items = || value.split(',').map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty());
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "transfer-encoding" => codings.extend(items()),
            "content-length" => lengths.extend(value.split(',').map(|item| item.trim().to_owned())),
            "connection" => {
                request.closes |= items().any(|item| item == "close");
                asks_to_keep |= items().any(|item| item == "keep-alive");
            }
            "expect" => request.expects = value.eq_ignore_ascii_case("100-continue") && !http10,
            _ => {}
        }
    }
    request.closes |= http10 && !asks_to_keep;
    if hosts > 1 || hosts == 0 && !http10 {
        request.refusals.push(400);
    }
    if let Some(first) = lengths.first() {
        let is_number = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if lengths.iter().any(|length| length != first) || !is_number(first) {
            return None;
        }
        request.declared = Some(first.parse().ok()?);
        if lengths.len() > 1 {
            request.refusals.push(400);
        }
    }
    if let Some(last) = codings.last() {
        // §6.3: if `chunked` is not the last coding, a server cannot know where the body ends.
        if last != "chunked" {
            return None;
        }
        if codings.len() > 1 {
            request.refusals.extend([400, 501]);
        }
        // §6.1: Content-Length and Transfer-Encoding together, or a coding on HTTP/1.0, may be request smuggling: the
        // connection must end.
        if request.declared.take().is_some() || http10 {
            request.refusals.push(400);
            request.closes = true;
        }
        request.has_body = true;
    } else {
        request.has_body = request.declared.unwrap_or(0) > 0;
    }
    Some(request)
}

enum BodyEnd {
    Complete,
    Partial,
    Broken,
}

struct BodyLength {
    length: usize,
    end: BodyEnd,
}

fn read_body(request: &mut Request, bytes: &[u8]) -> BodyLength {
    let body = match (request.has_body, request.declared) {
        (false, _) => BodyLength { length: 0, end: BodyEnd::Complete },
        (true, Some(declared)) => {
            let length = usize::try_from(declared).unwrap_or(usize::MAX).min(bytes.len());
            request.body.extend_from_slice(&bytes[..length]);
            let is_complete = length as u64 == declared;
            BodyLength { length, end: if is_complete { BodyEnd::Complete } else { BodyEnd::Partial } }
        }
        (true, None) => read_chunks(&mut request.body, bytes),
    };
    request.is_complete = matches!(body.end, BodyEnd::Complete);
    body
}

/// §7.1.
fn read_chunks(body: &mut Vec<u8>, bytes: &[u8]) -> BodyLength {
    let mut at = 0;
    let line = |at: usize| bytes[at..].windows(2).position(|pair| pair == b"\r\n").map(|end| &bytes[at..at + end]);
    let end = loop {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let after = bytes[at + digits..].iter().find(|byte| !b" \t".contains(byte));
        match after {
            // The chunk-size line is incomplete.
            None => break BodyEnd::Partial,
            Some(_) if digits == 0 || digits > 15 => break BodyEnd::Broken,
            Some(b'\r' | b';') => {}
            Some(_) => break BodyEnd::Broken,
        }
        let Some(size_line) = line(at) else {
            break part_of_line(&bytes[at..]);
        };
        if size_line.contains(&b'\n') || size_line.contains(&b'\r') {
            break BodyEnd::Broken;
        }
        let digits = std::str::from_utf8(&bytes[at..at + digits]).expect("digits");
        let size = usize::from_str_radix(digits, 16).expect("at most 15 digits");
        at += size_line.len() + 2;
        if size == 0 {
            loop {
                match line(at) {
                    Some([]) => return BodyLength { length: at + 2, end: BodyEnd::Complete },
                    Some(trailer) if !is_field(trailer) => return BodyLength { length: at, end: BodyEnd::Broken },
                    Some(trailer) => at += trailer.len() + 2,
                    None => break,
                }
            }
            break part_of_line(&bytes[at..]);
        }
        let here = size.min(bytes.len() - at);
        body.extend_from_slice(&bytes[at..at + here]);
        at += here;
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => break BodyEnd::Partial,
            _ => break BodyEnd::Broken,
        }
    };
    match end {
        BodyEnd::Partial => BodyLength { length: bytes.len(), end },
        _ => BodyLength { length: at, end },
    }
}

/// Classifies a body that ends within a line.
fn part_of_line(bytes: &[u8]) -> BodyEnd {
    match has_bare_return(bytes) || bytes.contains(&b'\n') {
        true => BodyEnd::Broken,
        false => BodyEnd::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_chunks_end_a_body_and_nothing_inside_is_a_request() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nGET /b HTTP/1.1\n\
            POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            5;x=\"y\"\r\nGET /\r\n0\r\nA: b\r\n\r\nGET /d HT";
        let reading = read(bytes);
        let targets: Vec<&str> = reading.requests.iter().map(|request| request.target.as_str()).collect();
        assert_eq!(targets, ["/a", "/c"]);
        assert_eq!(reading.requests[1].body, b"GET /");
        assert_eq!(reading.tail, Tail::PartialHead(bytes.len() - 9));
    }

    #[test]
    fn ambiguous_bytes_are_broken() {
        for head in [
            "GET  /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nA : b\r\n\r\n",
            "GET /a HTTP/1.1\r\nA: \rb\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(read(head.as_bytes()).tail, Tail::Broken(0), "{head:?}");
        }
        for chunks in ["1\nx\r\n0\r\n\r\n", "1\rx", "0\r\nA: b\rc", "0\r\nA: b\n"] {
            let request = format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            assert!(matches!(read(request.as_bytes()).tail, Tail::BrokenBody(_)), "{chunks:?}");
        }
    }
}
