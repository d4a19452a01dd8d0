//! The frames that a server sends on HTTP/2.
//!
//! Threads: runtime.

/// The length of the header of a frame (RFC 9113 §4.1).
const HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Parses the frame headers in the output of an HTTP/2 connection, to distinguish `HEADERS` and `DATA` from the frames
/// that hyper sends by itself: `SETTINGS`, `PING` and `WINDOW_UPDATE`.
#[derive(Debug, Default)]
pub(super) struct FrameScanner {
    /// The received part of the current frame's header.
    header: [u8; HEADER],
    filled: usize,
    /// The rest of its payload.
    payload: usize,
}

impl FrameScanner {
    /// Parses the next bytes. Returns whether they have a part of a response: of a `HEADERS` or `DATA` frame.
    pub(super) fn scan(&mut self, mut bytes: &[u8]) -> bool {
        let mut responds = false;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let count = self.payload.min(bytes.len());
                bytes = &bytes[count..];
                self.payload -= count;
                responds |= self.is_of_response();
                continue;
            }
            let count = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == HEADER {
                let [high, middle, low, ..] = self.header;
                self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.filled = 0;
                responds |= self.is_of_response();
            }
        }
        responds
    }

    /// Whether the frame whose header was read last belongs to a response.
    fn is_of_response(&self) -> bool {
        matches!(self.header[3], DATA | HEADERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let [.., high, middle, low] = (length as u32).to_be_bytes();
        let mut frame = vec![high, middle, low, kind, 0, 0, 0, 0, 1];
        frame.resize(HEADER + length, 0);
        frame
    }

    /// However the output is split.
    #[test]
    fn acknowledgements_are_distinguished_from_responses() {
        let (settings, ping, window) = (frame(4, 0), frame(6, 8), frame(8, 4));
        let (head, data, empty) = (frame(1, 300), frame(0, 70_000), frame(0, 0));
        for step in [1, 2, 3, 8, 9, 10, 17, 4096, usize::MAX] {
            let mut scanner = FrameScanner::default();
            let mut scan =
                |frame: &[u8]| frame.chunks(step.min(frame.len())).fold(false, |any, part| any | scanner.scan(part));
            let found = [&settings, &ping, &head, &window, &data, &ping, &empty, &settings].map(|frame| scan(frame));
            assert_eq!(found, [false, false, true, false, true, false, true, false], "cut after each {step} bytes");
        }
        let mut scanner = FrameScanner::default();
        assert!(scanner.scan(&[ping, head].concat()));
    }
}
