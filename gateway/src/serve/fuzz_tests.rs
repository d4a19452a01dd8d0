//! Any bytes for the scanner of requests: the network may cut them anywhere.
//!
//! Threads: the caller's.

use arbitrary::{Arbitrary, Unstructured};

use super::request_scanner::{Framing, RequestScanner};

/// Bytes of a connection, and where they are cut.
#[derive(Debug)]
struct Stream {
    bytes: Vec<u8>,
    cuts: Vec<u8>,
    /// The framings that hyper finds, in turn.
    framings: Vec<Framing>,
}

/// Text that brings the scanner into all of its states.
const WORDS: [&[u8]; 12] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"3;a=b\r\nabc\r\n",
    b"0\r\nX: 1\r\n\r\n",
    b"0\r\nX: 1\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"A: b\r\n",
    b"ffffffffffffffff\r\n",
];

impl<'a> Arbitrary<'a> for Stream {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut bytes = Vec::new();
        for _ in 0..input.int_in_range(0..=20)? {
            match input.ratio(3, 4)? {
                true => bytes.extend(*input.choose(&WORDS)?),
                false => bytes.push(input.arbitrary()?),
            }
        }
        let framing = |input: &mut Unstructured<'a>| {
            Ok(if input.arbitrary()? { Framing::Chunked } else { Framing::Sized(input.int_in_range(0..=40)?) })
        };
        let framings = (0..input.int_in_range(1..=4)?).map(|_| framing(input)).collect::<Result<_, _>>()?;
        Ok(Self { bytes, cuts: input.arbitrary()?, framings })
    }
}

/// Whether the position of each request is known, after each of them and at the end.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    requests: Vec<bool>,
    has_ended: bool,
    next_has_begun: bool,
}

/// Where the heads and the bodies end, byte by byte, without the scanner: hyper parses a head once all of it is there
/// and the request before it has ended.
fn ends(stream: &Stream) -> Vec<(usize, usize)> {
    let mut requests = Vec::new();
    let mut at = 0;
    for framing in stream.framings.iter().cycle().take(8) {
        let Some(head) = head_end(&stream.bytes[at..]) else { break };
        let begin = at + head;
        let Some(body) = body_end(&stream.bytes[begin..], *framing) else {
            requests.push((begin, usize::MAX));
            break;
        };
        at = begin + body;
        requests.push((begin, at));
    }
    requests
}

/// After the first empty line that follows a line with text.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut has_begun = false;
    loop {
        let line = at + bytes[at..].iter().position(|byte| *byte == b'\n')? + 1;
        let is_empty = matches!(&bytes[at..line], b"\n" | b"\r\n");
        at = line;
        match (is_empty, has_begun) {
            (true, true) => return Some(at),
            (true, false) => {}
            (false, _) => has_begun = true,
        }
    }
}

/// The end of a body that is there and well-formed.
fn body_end(bytes: &[u8], framing: Framing) -> Option<usize> {
    let length = match framing {
        Framing::Sized(length) => usize::try_from(length).ok()?,
        Framing::Chunked => chunked_end(bytes)?,
    };
    (length <= bytes.len()).then_some(length)
}

fn chunked_end(bytes: &[u8]) -> Option<usize> {
    // RFC 9112 §7.1, strictly; white space before an extension is tolerated.
    let line = |at: usize| {
        let end = at + bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        (end > at && bytes[end - 1] == b'\r').then(|| (&bytes[at..end - 1], end + 1))
    };
    let mut at = 0;
    loop {
        let (text, data) = line(at)?;
        // A CR within the line ends the size, and nothing but LF may follow it.
        let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = u64::from_str_radix(std::str::from_utf8(&text[..digits]).ok()?, 16).ok()?;
        let extension = &text[digits..];
        if !(extension.is_empty() || b"; \t".contains(&extension[0])) || extension.contains(&b'\r') {
            return None;
        }
        if size == 0 {
            at = data;
            break;
        }
        at = data.checked_add(usize::try_from(size).ok()?)?;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let (text, next) = line(at)?;
        if text.is_empty() {
            return Some(next);
        }
        if text.contains(&b'\r') {
            return None;
        }
        at = next;
    }
}

/// What the scanner finds if the bytes come in pieces of these lengths.
fn found(stream: &Stream, ends: &[(usize, usize)], cuts: &[u8]) -> Found {
    let mut scanner = RequestScanner::default();
    scanner.start();
    let mut cuts = cuts.iter().map(|length| usize::from(*length).max(1)).chain(std::iter::repeat(usize::MAX));
    let mut framings = stream.framings.iter().cycle();
    let mut requests = Vec::new();
    let (mut come, mut parsed) = (0, 0);
    let mut last_end = 0;
    loop {
        // hyper parses the next head once it is there, and the request before it has ended.
        while parsed < ends.len() && ends[parsed].0 <= come && last_end <= come {
            if parsed > 0 {
                requests.push(scanner.has_ended());
            }
            scanner.head_is_parsed(*framings.next().expect("an endless cycle"));
            last_end = ends[parsed].1;
            parsed += 1;
        }
        if come == stream.bytes.len() {
            break;
        }
        let length = cuts.next().unwrap_or(usize::MAX).min(stream.bytes.len() - come);
        scanner.scan(&stream.bytes[come..come + length]);
        come += length;
    }
    Found { requests, has_ended: scanner.has_ended(), next_has_begun: scanner.next_has_begun() }
}

/// One stream.
pub(crate) fn check(input: &[u8]) {
    let Ok(stream) = Stream::arbitrary(&mut Unstructured::new(input)) else { return };
    let ends = ends(&stream);
    let whole = found(&stream, &ends, &[]);
    let bytewise = vec![1; stream.bytes.len()];
    for cuts in [&bytewise, &stream.cuts] {
        assert_eq!(found(&stream, &ends, cuts), whole, "{cuts:?} of {stream:?}");
    }
    // The scanner knows the end of a request exactly if there is a well-formed one.
    assert!(whole.requests.iter().all(|has_ended| *has_ended), "{whole:?} of {stream:?}: {ends:?}");
    let is_whole = ends.last().is_some_and(|(_, end)| *end <= stream.bytes.len());
    assert_eq!(whole.has_ended, is_whole, "{stream:?}: {ends:?}");
}

#[cfg(test)]
mod tests {
    use crate::fuzz_corpora::replay;

    /// HTTP-10, IN-14.
    #[test]
    fn the_ends_of_requests_do_not_depend_on_the_network() {
        replay("scanner", super::check);
    }
}
