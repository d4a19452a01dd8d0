//! A well-formed request in parts that can be mutated separately.

use crate::dice::Dice;

/// A request before serialization.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The request line and the header fields, without line endings.
    pub(crate) lines: Vec<Vec<u8>>,
    /// The endings of these lines, and of the empty line after them.
    pub(crate) ends: Vec<&'static [u8]>,
    pub(crate) body: DraftBody,
}

#[derive(Clone, Debug)]
pub(crate) enum DraftBody {
    None,
    Plain(Vec<u8>),
    Chunked(Vec<Chunk>),
}

/// A chunk in its serialized form; the last chunk has no data.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) size: Vec<u8>,
    pub(crate) end: &'static [u8],
    pub(crate) data: Vec<u8>,
}

pub(crate) const CRLF: &[u8] = b"\r\n";

impl Draft {
    /// Generates a request with a unique target.
    pub(crate) fn generate(dice: &mut Dice, stream: u64, number: u64) -> Self {
        let method =
            *pick(dice, &["GET", "GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]);
        let route = *pick(dice, &["see", "see", "see", "see", "part", "skip", "async", "fail"]);
        let query = *pick(dice, &["", "", "?a=1", "?a=%20b&c"]);
        let target = format!("/{route}/{stream}.{number}{query}");
        let (method, target) = match dice.below(40) {
            0 => (method, format!("http://a{target}")),
            1 => (method, format!("http://b:80{target}")),
            2 => (method, format!("/{target}")),
            3 => (method, format!("/x/..{target}")),
            4 => (method, format!("{target}#top")),
            5 => (method, format!("{target}%zz")),
            6 => (method, format!("{target}|{{}}\"")),
            7 => ("OPTIONS", "*".to_owned()),
            8 => (method, target[1..].to_owned()),
            9 => ("CONNECT", format!("a.{stream}.{number}:443")),
            10 => ("QUERY-X", target),
            11 => ("get", target),
            _ => (method, target),
        };
        let version = if dice.below(12) == 0 {
            *pick(
                dice,
                &["HTTP/1.0", "HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.10", ""],
            )
        } else {
            "HTTP/1.1"
        };
        let mut lines =
            vec![format!("{method} {target} {version}").trim_end().as_bytes().to_vec(), b"Host: a".to_vec()];
        match dice.below(20) {
            0 => lines.push(b"Connection: close".to_vec()),
            1 | 2 => lines.push(b"Connection: keep-alive".to_vec()),
            3 => lines.push(b"Expect: 100-continue".to_vec()),
            4 | 5 => lines.push(b"X-Other: some, text; more".to_vec()),
            _ => {}
        }
        let body = if dice.below(100) < if matches!(method, "POST" | "PUT" | "PATCH") { 85 } else { 15 } {
            let content = content(dice, stream, number);
            if dice.below(2) == 0 {
                // Occasionally announce a body that is larger than the application's limit, and send less.
                let length = if dice.below(25) == 0 { 20_000_000 } else { content.len() };
                lines.push(format!("Content-Length: {length}").into_bytes());
                DraftBody::Plain(content)
            } else {
                lines.push(b"Transfer-Encoding: chunked".to_vec());
                DraftBody::Chunked(chunks(dice, &content))
            }
        } else {
            DraftBody::None
        };
        let ends = vec![CRLF; lines.len() + 1];
        Self { lines, ends, body }
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (line, end) in self.lines.iter().zip(&self.ends) {
            bytes.extend(line);
            bytes.extend(*end);
        }
        bytes.extend(self.ends.last().copied().unwrap_or(CRLF));
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match &self.body {
            DraftBody::None => {}
            DraftBody::Plain(content) => bytes.extend(content),
            DraftBody::Chunked(chunks) => {
                for chunk in chunks {
                    bytes.extend(&chunk.size);
                    bytes.extend(chunk.end);
                    bytes.extend(&chunk.data);
                    bytes.extend(chunk.end);
                }
            }
        }
        bytes
    }

    /// Inserts a header field at a random position after the request line.
    pub(crate) fn insert(&mut self, dice: &mut Dice, line: Vec<u8>) {
        let at = 1 + index(dice, self.lines.len());
        self.lines.insert(at, line);
        self.ends.insert(at, CRLF);
    }
}

/// The content of a body: text, or bytes that look like the next request.
fn content(dice: &mut Dice, stream: u64, number: u64) -> Vec<u8> {
    let smuggled = format!("GET /smuggled/{stream}.{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    match dice.below(8) {
        0 => smuggled.into_bytes(),
        1 => format!("0\r\n\r\n{smuggled}").into_bytes(),
        2 => format!("\r\n\r\n{smuggled}{smuggled}").into_bytes(),
        3 => Vec::new(),
        4 => {
            let length = 1 + index(dice, 20_000);
            let mut content = smuggled.into_bytes();
            content.resize(content.len() + length, b'y');
            content
        }
        _ => (0..1 + dice.below(40)).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)).collect(),
    }
}

fn chunks(dice: &mut Dice, content: &[u8]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (data, later) = rest.split_at(1 + index(dice, rest.len()));
        let size = if dice.below(2) == 0 { format!("{:x}", data.len()) } else { format!("{:X}", data.len()) };
        chunks.push(Chunk { size: size.into_bytes(), end: CRLF, data: data.to_vec() });
        rest = later;
    }
    chunks.push(Chunk { size: b"0".to_vec(), end: CRLF, data: Vec::new() });
    chunks
}

/// A random index below a length; 0 if the length is 0.
pub(crate) fn index(dice: &mut Dice, length: usize) -> usize {
    usize::try_from(dice.below(length.max(1) as u64)).unwrap_or(0)
}

pub(crate) fn pick<'c, T>(dice: &mut Dice, choices: &'c [T]) -> &'c T {
    &choices[index(dice, choices.len())]
}
