//! The framing of chunked request bodies, read beside hyper.
//!
//! Threads: any; called under the lock of the connection.

use memchr::memchr;

/// Follows the bytes of a connection on HTTP/1 through a head and a chunked body, to see whether the trailer fields end as they have to.
///
/// hyper takes a line of the trailers that ends with LF alone for a part of the next line, so that the head of the next request becomes trailers
/// (RFC 9112 §7.1.2 has CRLF). Where this scanner has not seen that each of their lines ends with CRLF, the connection is not trusted any more.
/// A message whose first byte did not arrive on an idle connection, or after a chunked body, is not followed; its trailers are not trusted.
#[derive(Debug, Default)]
pub(super) enum ChunkScanner {
    /// It is not known where in a message the next byte is.
    #[default]
    Lost,
    Head(Head),
    /// A head has ended. What has come after it waits for hyper to say what it is.
    HeadEnded {
        rest: Vec<u8>,
    },
    Body(Body),
    /// A chunked body has ended, and so have its trailers, in order. What has come after it begins with the next head.
    Ended {
        rest: Vec<u8>,
    },
}

/// Where in a head the next byte is.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// How many bytes the line has so far, and whether the only one is a CR.
    line: usize,
    is_cr: bool,
    /// A line that is not empty has come.
    has_begun: bool,
    /// A line begins as `Transfer-Encoding` does. The bodies of most requests need not be copied.
    may_be_chunked: bool,
}

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// In the size of a chunk.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the size of a chunk, before the end of its line.
    Extension {
        size: u64,
    },
    /// Before the LF of that line.
    SizeLf {
        size: u64,
    },
    /// In a chunk of which so much is left.
    Data {
        left: u64,
    },
    /// Before the CR and the LF after a chunk.
    DataCr,
    DataLf,
    /// At the beginning of a line of the trailers.
    Trailers,
    /// In such a line; whether the last byte was a CR.
    Trailer {
        is_cr: bool,
    },
    /// Before the LF of the empty line after the trailers.
    LastLf,
}

impl ChunkScanner {
    /// A message begins with the next byte.
    pub(super) fn start(&mut self) {
        *self = Self::Head(Head::default());
    }

    /// Takes in the next bytes.
    pub(super) fn scan(&mut self, bytes: &[u8]) {
        match self {
            Self::Head(head) => {
                if let Some(end) = head.scan(bytes) {
                    *self = match head.may_be_chunked {
                        true => Self::HeadEnded { rest: bytes[end..].to_vec() },
                        false => Self::Lost,
                    };
                }
            }
            Self::HeadEnded { rest } | Self::Ended { rest } => rest.extend_from_slice(bytes),
            Self::Body(_) => self.scan_body(bytes),
            Self::Lost => {}
        }
    }

    /// hyper has parsed the head.
    pub(super) fn head_is_parsed(&mut self, is_chunked: bool) {
        match std::mem::take(self) {
            Self::HeadEnded { rest } if is_chunked => self.start_body(&rest),
            Self::Ended { rest } if is_chunked => {
                if let Some(end) = Head::default().scan(&rest) {
                    self.start_body(&rest[end..]);
                }
            }
            // The end of any other message is not looked for.
            _ => {}
        }
    }

    /// Whether a chunked body has ended in order.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    fn start_body(&mut self, bytes: &[u8]) {
        *self = Self::Body(Body::Size { size: 0, digits: 0 });
        self.scan_body(bytes);
    }

    fn scan_body(&mut self, mut bytes: &[u8]) {
        while let (Self::Body(body), Some(&byte)) = (&mut *self, bytes.first()) {
            if let Body::Data { left } = body {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                bytes = &bytes[count..];
                if *left == 0 {
                    *body = Body::DataCr;
                }
                continue;
            }
            bytes = &bytes[1..];
            *self = match body.step(byte) {
                Step::To(next) => Self::Body(next),
                Step::End => Self::Ended { rest: bytes.to_vec() },
                Step::Error => Self::Lost,
            };
        }
    }
}

impl Head {
    /// Where the head ends, if it does in these bytes: after the first empty line that follows another one.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            self.add(&bytes[at..at + length]);
            let is_empty = self.line == 0 || self.line == 1 && self.is_cr;
            at += length + 1;
            if is_empty && self.has_begun {
                return Some(at);
            }
            *self =
                Self { has_begun: self.has_begun || !is_empty, may_be_chunked: self.may_be_chunked, ..Self::default() };
        }
        self.add(&bytes[at..]);
        None
    }

    fn add(&mut self, part: &[u8]) {
        if self.line == 0 {
            self.is_cr = part.first() == Some(&b'\r');
            self.may_be_chunked |= matches!(part.first(), Some(b't' | b'T'));
        }
        self.line += part.len();
    }
}

enum Step {
    To(Body),
    End,
    /// hyper refuses such a byte, or takes it for something else.
    Error,
}

impl Body {
    fn step(self, byte: u8) -> Step {
        Step::To(match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. }, b'\r') => Self::SizeLf { size },
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Extension { size }, b'\r') => Self::SizeLf { size },
            (Self::Extension { size }, 0..=9 | 11..) => Self::Extension { size },
            (Self::SizeLf { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { size: 0, digits: 0 },
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

    /// Whether the body after the head ends in order, cut after each so many bytes. hyper parses a head as soon as it is there.
    fn ends(head: &str, body: &str, step: usize) -> bool {
        let mut scanner = ChunkScanner::default();
        scanner.start();
        let (mut at, mut is_parsed) = (0, false);
        for part in [head, body].concat().as_bytes().chunks(step) {
            scanner.scan(part);
            at += part.len();
            if at >= head.len() && !is_parsed {
                is_parsed = true;
                scanner.head_is_parsed(true);
            }
        }
        scanner.has_ended()
    }

    /// HTTP-10, IN-14: trailers end with CRLF in each line, or the connection is not trusted; wherever the network cuts.
    #[test]
    fn trailers_end_in_order_or_are_not_trusted() {
        let in_order = [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;a=b\r\nhello\r\n07 ; c\r\n, \n\r\nld\r\n000\r\nX-T: 1\r\n\r\n",
            "A\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n",
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

    /// A message that did not begin on an idle connection has no known end.
    #[test]
    fn what_was_not_seen_from_its_beginning_is_not_trusted() {
        let mut scanner = ChunkScanner::default();
        scanner.scan(HEAD.as_bytes());
        scanner.head_is_parsed(true);
        scanner.scan(b"0\r\n\r\n");
        assert!(!scanner.has_ended());
        // One that follows a chunked body has.
        scanner.start();
        scanner.scan([HEAD, "0\r\n\r\n", HEAD, "0\r\nX: 1\n\r\n"].concat().as_bytes());
        scanner.head_is_parsed(true);
        assert!(scanner.has_ended());
        scanner.head_is_parsed(true);
        assert!(!scanner.has_ended());
        scanner.start();
        scanner.scan([HEAD, "0\r\n\r\n", HEAD, "0\r\nX: 1\r\n\r\n"].concat().as_bytes());
        scanner.head_is_parsed(true);
        scanner.head_is_parsed(true);
        assert!(scanner.has_ended());
        scanner.start();
        scanner.scan(b"GET / HTTP/1.1\r\n\r\n");
        scanner.scan(HEAD.as_bytes());
        scanner.head_is_parsed(false);
        scanner.head_is_parsed(true);
        scanner.scan(b"0\r\n\r\n");
        assert!(!scanner.has_ended());
    }
}
