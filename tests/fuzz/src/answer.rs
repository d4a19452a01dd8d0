//! A reference parser for responses on HTTP/1.
//!
//! Threads: the caller's.

use crate::head::trim;

/// A final response, as far as it is on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    /// Lower-case names and values, in order.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The message is whole by its own framing. One that ends with the connection has no framing.
    pub(crate) is_complete: bool,
    pub(crate) ends_with_connection: bool,
}

impl Answer {
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let name = name.to_owned();
        self.fields.iter().filter(move |(known, _)| *known == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }
}

/// The answers on a connection; `is_head` says which of the requests were HEAD. Interim responses are skipped.
///
/// # Panics
///
/// The bytes are no responses.
pub(crate) fn parse_all(mut bytes: &[u8], is_head: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let without_body = is_head.get(answers.len()).copied().unwrap_or(false);
        let (answer, rest) = parse(bytes, without_body);
        bytes = rest;
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    answers
}

fn parse(bytes: &[u8], without_body: bool) -> (Answer, &[u8]) {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head");
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next().expect("a status line");
    assert!(line.starts_with(b"HTTP/1.") && line.get(8) == Some(&b' ') && line.get(12) == Some(&b' '), "{line:?}");
    let status = std::str::from_utf8(&line[9..12]).expect("digits").parse().expect("digits");
    let fields: Vec<_> = lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a field has a colon");
            let name = line[..colon].to_ascii_lowercase();
            assert!(name.iter().all(|byte| byte.is_ascii_graphic()), "{name:?}");
            let value = trim(&line[colon + 1..]).to_vec();
            assert!(value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()), "{value:?}");
            (name, value)
        })
        .collect();
    let mut answer = Answer {
        status,
        reason: line[13..].to_vec(),
        fields,
        body: Vec::new(),
        is_complete: true,
        ends_with_connection: false,
    };
    let lengths: Vec<&[u8]> = answer.values("content-length").collect();
    assert!(lengths.len() < 2, "two lengths");
    let is_chunked = answer.value("transfer-encoding").is_some_and(|coding| coding == b"chunked");
    assert!(!is_chunked || lengths.is_empty(), "a length and chunks");
    let length = lengths.first().map(|text| std::str::from_utf8(text).expect("digits").parse().expect("a length"));
    if without_body || status < 200 || matches!(status, 204 | 304) {
        return (answer, rest);
    }
    if is_chunked {
        let (body, is_complete, rest) = dechunk(rest);
        (answer.body, answer.is_complete) = (body, is_complete);
        return (answer, rest);
    }
    let length = length.unwrap_or_else(|| {
        answer.ends_with_connection = true;
        rest.len()
    });
    let there = length.min(rest.len());
    answer.is_complete = there == length;
    answer.body = rest[..there].to_vec();
    (answer, &rest[there..])
}

/// The data of a chunked body, whether its end is there, and the bytes after it.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool, &[u8]) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|part| part == b"\r\n") else { return (body, false, b"") };
        let digits = std::str::from_utf8(&rest[..end]).expect("hexadecimal digits");
        let size = usize::from_str_radix(digits, 16).expect("the size of a chunk");
        rest = &rest[end + 2..];
        if size == 0 {
            // No trailers: the applications of the targets send none.
            let Some(after) = rest.strip_prefix(b"\r\n") else { return (body, false, b"") };
            return (body, true, after);
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            return (body, false, b"");
        }
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
}
