//! The framing of the requests on an HTTP/1 connection, parsed in parallel with hyper.
//!
//! Threads: any; called under the lock of the connection.

use std::ops::Deref;

use bytes::{Buf, BytesMut};
use memchr::memchr;

/// Follows the input of an HTTP/1 connection from one request to the next. hyper says how each body is framed; the
/// scanner finds its end.
///
/// The scanner finds out two facts that hyper does not report:
///
/// - whether the trailer fields of a chunked body are well-formed. hyper joins a trailer line that ends with LF alone
///   to the next line, so that the head of the next request becomes trailers (RFC 9112 §7.1.2 requires CRLF). Without a
///   well-formed end, the connection accepts no other request;
/// - whether the next head has begun, and is in hyper's buffer.
///
/// A request whose first byte was not recognised is not followed, nor are bytes after an error. Its trailers are not
/// trusted.
#[derive(Debug, Default)]
pub(super) enum RequestScanner {
    /// The position in the input is unknown.
    #[default]
    Lost,
    /// In a head, or before it.
    Head(Head),
    /// A head has ended. The bytes after it are kept until hyper has parsed the framing.
    HeadEnded { rest: BytesMut },
    /// In a body with a length.
    Sized { left: u64 },
    /// In a chunked body.
    Chunked(Chunked),
    /// A request has ended and is well-formed. The bytes after it begin with the next head.
    Ended { rest: BytesMut },
}

/// How the body of a request is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A length, which is 0 without a body.
    Sized(u64),
    Chunked,
}

/// The position of the next byte in a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The length of the line so far, and whether its first byte is a CR.
    line: usize,
    is_cr: bool,
    /// A non-empty line was received.
    has_begun: bool,
}

/// The position of the next byte in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the size of a chunk.
    Size { size: u64, has_digits: bool },
    /// After the size of a chunk, before the end of its line.
    Extension { size: u64 },
    /// Before the LF of that line.
    SizeLf { size: u64 },
    /// In the data of a chunk.
    Data { left: u64 },
    /// Before the CR after a chunk.
    DataCr,
    /// Before the LF after a chunk.
    DataLf,
    /// At the beginning of a line of the trailers.
    Trailers,
    /// In a line of the trailers; whether the last byte was a CR.
    Trailer { is_cr: bool },
    /// Before the LF of the empty line after the trailers.
    LastLf,
}

impl RequestScanner {
    /// A request begins with the next byte.
    pub(super) fn start(&mut self) {
        *self = Self::Head(Head::default());
    }

    /// Takes in the next bytes.
    pub(super) fn scan(&mut self, bytes: &[u8]) {
        match self {
            Self::Head(head) => {
                if let Some(end) = head.scan(bytes) {
                    *self = Self::HeadEnded { rest: bytes[end..].into() };
                }
            }
            Self::HeadEnded { rest } => rest.extend_from_slice(bytes),
            Self::Ended { rest } => {
                rest.extend_from_slice(bytes);
                skip_empty_lines(rest);
            }
            Self::Sized { .. } | Self::Chunked(_) => {
                let end = self.scan_body(bytes);
                self.keep(bytes[end..].into());
            }
            Self::Lost => {}
        }
    }

    /// hyper has parsed the head.
    pub(super) fn head_is_parsed(&mut self, framing: Framing) {
        let mut rest = match std::mem::take(self) {
            Self::HeadEnded { rest } => rest,
            Self::Ended { mut rest } => match Head::default().scan(&rest) {
                Some(end) => {
                    rest.advance(end);
                    rest
                }
                None => return,
            },
            _ => return,
        };
        *self = match framing {
            Framing::Sized(left) => Self::Sized { left },
            Framing::Chunked => Self::Chunked(Chunked::Size { size: 0, has_digits: false }),
        };
        // The rest is moved and not copied: a client may send thousands of requests at once.
        let end = self.scan_body(&rest);
        rest.advance(end);
        self.keep(rest);
    }

    /// Keeps the bytes after a request that has ended.
    fn keep(&mut self, bytes: BytesMut) {
        if let Self::Ended { rest } = self {
            *rest = bytes;
            skip_empty_lines(rest);
        }
    }

    /// Whether the request has ended and is well-formed.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// Whether a part of the next head was received. Empty lines before it do not count (RFC 9112 §2.2).
    pub(super) fn next_has_begun(&self) -> bool {
        matches!(self, Self::Ended { rest } if begins_head(rest))
    }

    /// Scans a body. Returns how many of the bytes belong to it.
    fn scan_body(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            if let Self::Sized { left } | Self::Chunked(Chunked::Data { left }) = self {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= count as u64;
                at += count;
            }
            *self = match (&*self, bytes.get(at)) {
                (Self::Sized { left: 0 }, _) => Self::Ended { rest: BytesMut::new() },
                (Self::Chunked(Chunked::Data { left: 0 }), _) => Self::Chunked(Chunked::DataCr),
                (Self::Chunked(chunked), Some(&byte)) => {
                    at += 1;
                    match chunked.step(byte) {
                        Step::To(next) => Self::Chunked(next),
                        Step::End => Self::Ended { rest: BytesMut::new() },
                        Step::Error => Self::Lost,
                    }
                }
                _ => return at,
            };
        }
    }
}

/// Drops the empty lines at the beginning, which are not part of a head (RFC 9112 §2.2).
pub(super) fn skip_empty_lines<B: Buf + Deref<Target = [u8]>>(bytes: &mut B) {
    loop {
        match &**bytes {
            [b'\n', ..] => bytes.advance(1),
            [b'\r', b'\n', ..] => bytes.advance(2),
            _ => return,
        }
    }
}

/// Whether these bytes have a part of a head. A CR at their end may be the beginning of an empty line.
pub(super) fn begins_head(mut bytes: &[u8]) -> bool {
    skip_empty_lines(&mut bytes);
    !matches!(bytes, b"" | b"\r")
}

impl Head {
    /// The end of the head, if it is in these bytes: after the first empty line that follows a non-empty one.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            self.add(&bytes[at..at + length]);
            let is_empty = self.line == 0 || self.line == 1 && self.is_cr;
            at += length + 1;
            if is_empty && self.has_begun {
                return Some(at);
            }
            *self = Self { has_begun: self.has_begun || !is_empty, ..Self::default() };
        }
        self.add(&bytes[at..]);
        None
    }

    fn add(&mut self, part: &[u8]) {
        if self.line == 0 {
            self.is_cr = part.first() == Some(&b'\r');
        }
        self.line += part.len();
    }
}

enum Step {
    To(Chunked),
    End,
    /// hyper refuses such a byte, or interprets it differently.
    Error,
}

impl Chunked {
    fn step(self, byte: u8) -> Step {
        Step::To(match (self, byte) {
            (Self::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                match size.checked_mul(16) {
                    Some(size) => Self::Size { size: size + u64::from(digit), has_digits: true },
                    None => return Step::Error,
                }
            }
            (Self::Size { size, has_digits: true }, b'\r') => Self::SizeLf { size },
            (Self::Size { size, has_digits: true }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Extension { size }, b'\r') => Self::SizeLf { size },
            (Self::Extension { size }, 0..=9 | 11..) => Self::Extension { size },
            (Self::SizeLf { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { size: 0, has_digits: false },
            (Self::Trailers, b'\r') => Self::LastLf,
            (Self::LastLf, b'\n') => return Step::End,
            (Self::Trailer { is_cr: true }, b'\n') => Self::Trailers,
            (Self::Trailers | Self::Trailer { is_cr: false }, 0..=9 | 11..) => Self::Trailer { is_cr: byte == b'\r' },
            _ => return Step::Error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Whether the body after the head is well-formed, received in parts of `step` bytes. hyper parses a head as soon
    /// as it is complete.
    fn ends(head: &str, body: &str, step: usize) -> bool {
        let mut scanner = RequestScanner::default();
        scanner.start();
        let (mut at, mut is_parsed) = (0, false);
        for part in [head, body].concat().as_bytes().chunks(step) {
            scanner.scan(part);
            at += part.len();
            if at >= head.len() && !is_parsed {
                is_parsed = true;
                scanner.head_is_parsed(Framing::Chunked);
            }
        }
        scanner.has_ended()
    }

    /// HTTP-10, IN-14: each trailer line ends with CRLF, or the connection is not trusted; however the input is split.
    #[test]
    fn trailers_end_in_order_or_are_not_trusted() {
        let in_order = [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;a=b\r\nhello\r\n07 ; c\r\n, \n\r\nld\r\n000\r\nX-T: 1\r\n\r\n",
            "A\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n",
            "00000000000000000005\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        let not_in_order = [
            "0\r\nX-T: 1\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
            "0\r\n\n\r\n\r\n",
            "0\r\nX-T: 1\r\nY: 2\n\r\n\r\n",
            "0\r\nX-T: 1\rY\r\n\r\n",
            "5\r\nhello\r\n0\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5;a\n\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "x\r\n\r\n",
            "\r\n\r\n",
            "10000000000000000\r\n\r\n",
        ];
        for step in [1, 2, 3, 5, 7, 50, usize::MAX] {
            for body in in_order {
                assert!(ends(HEAD, body, step), "{body:?} in steps of {step}");
                assert!(ends(&format!("\r\n\n{HEAD}"), body, step), "{body:?} after empty lines, in steps of {step}");
            }
            for body in not_in_order {
                assert!(!ends(HEAD, body, step), "{body:?} in steps of {step}");
            }
        }
    }

    /// The end of a request whose beginning was not seen is unknown.
    #[test]
    fn what_was_not_seen_from_its_beginning_is_not_trusted() {
        let mut scanner = RequestScanner::default();
        scanner.scan(HEAD.as_bytes());
        scanner.head_is_parsed(Framing::Chunked);
        scanner.scan(b"0\r\n\r\n");
        assert!(!scanner.has_ended());
    }

    /// HTTP-10: pipelined requests are followed from one to the next, whatever their bodies, however the input is
    /// split.
    #[test]
    fn requests_in_a_row_are_followed() {
        let none = ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", Framing::Sized(0));
        let sized =
            ("PUT / HTTP/1.1\nContent-Length: 30\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n123", Framing::Sized(30));
        let chunked = (HEAD, "1\r\n\n\r\n00\r\nX: 1\r\n\r\n", Framing::Chunked);
        let requests = [none, sized, chunked];
        for order in 0..27 {
            let row = [requests[order % 3], requests[order / 3 % 3], requests[order / 9]];
            let bytes = row.map(|(head, body, _)| [head, body].concat()).concat();
            for step in [1, 2, 3, 5, 7, 50, usize::MAX] {
                let mut scanner = RequestScanner::default();
                scanner.start();
                let (mut parts, mut come, mut parsed) = (bytes.as_bytes().chunks(step), 0, 0);
                for (at, (head, body, framing)) in row.into_iter().enumerate() {
                    while come < parsed + head.len() {
                        let part = parts.next().unwrap();
                        scanner.scan(part);
                        come += part.len();
                    }
                    scanner.head_is_parsed(framing);
                    parsed += head.len() + body.len();
                    while come < parsed {
                        let part = parts.next().unwrap();
                        scanner.scan(part);
                        come += part.len();
                    }
                    assert!(scanner.has_ended(), "{at} of {row:?} in steps of {step}: {scanner:?}");
                    assert_eq!(
                        scanner.next_has_begun(),
                        come > parsed,
                        "{at} of {row:?} in steps of {step}: {scanner:?}"
                    );
                }
            }
        }
    }

    /// HTTP-10: a request with a bad trailer is not trusted, even after a well-formed one.
    #[test]
    fn a_bad_trailer_is_found_in_a_row() {
        let mut scanner = RequestScanner::default();
        scanner.start();
        scanner.scan([HEAD, "0\r\n\r\n", HEAD, "0\r\nX: 1\n\r\n"].concat().as_bytes());
        scanner.head_is_parsed(Framing::Chunked);
        assert!(scanner.has_ended());
        scanner.head_is_parsed(Framing::Chunked);
        assert!(!scanner.has_ended());
    }
}
