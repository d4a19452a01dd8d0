//! The delimiters of a form that the parser would misread.
//!
//! Threads: the application's.

use memchr::memmem::Finder;

/// Checks the delimiters of a body before multer gets them. multer begins the first field at a boundary within a line
/// (RFC 2046 §5.1.1: a delimiter begins a line), and reads the next delimiter as headers if a part has no headers. A
/// proxy that inspects the form would see other fields.
pub(super) struct DelimiterCheck {
    delimiter: Finder<'static>,
    /// The end of what was checked, with all that the next bytes may complete.
    tail: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first byte of the body.
    Start,
    /// In the text before the first part.
    Preamble,
    /// In the parts.
    Parts,
    /// After the last delimiter: whatever follows is ignored (RFC 2046 §5.1.1).
    Epilogue,
}

impl DelimiterCheck {
    pub(super) fn new(boundary: &str) -> Self {
        let delimiter = Finder::new(&format!("--{boundary}")).into_owned();
        Self { delimiter, tail: Vec::new(), state: State::Start }
    }

    /// Checks the next bytes of the body. The error says what is wrong.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if self.state == State::Epilogue {
            return Ok(());
        }
        let mut window = std::mem::take(&mut self.tail);
        window.extend_from_slice(bytes);
        let length = self.delimiter.needle().len();
        let mut from = 0;
        while let Some(found) = self.delimiter.find(&window[from..]) {
            let at = from + found;
            let after = &window[at + length..];
            // Two bytes say whether it is the last one, four whether a part has no headers.
            if after.len() < 4 && !after.starts_with(b"--") {
                self.keep(&window, at.saturating_sub(2));
                return Ok(());
            }
            let begins_line =
                if at < 2 { self.state == State::Start && at == 0 } else { window[..at].ends_with(b"\r\n") };
            match (begins_line, self.state) {
                (false, State::Start | State::Preamble) => {
                    return Err("its boundary is within a line before the first field");
                }
                (false, _) => {}
                (true, _) if after.starts_with(b"--") => {
                    self.state = State::Epilogue;
                    return Ok(());
                }
                (true, _) if after.starts_with(b"\r\n\r\n") => return Err("a field has no headers"),
                (true, _) => self.state = State::Parts,
            }
            from = at + length;
        }
        // What may be the beginning of a delimiter, with the end of the line before it.
        self.keep(&window, window.len().saturating_sub(length + 1).max(from.saturating_sub(2)));
        Ok(())
    }

    fn keep(&mut self, window: &[u8], start: usize) {
        if start > 0 && self.state == State::Start {
            self.state = State::Preamble;
        }
        self.tail = window[start..].to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for a body in parts of every size.
    fn checked(body: &str) -> Result<(), &'static str> {
        let whole = DelimiterCheck::new("XbX").check(body.as_bytes());
        for step in 1..body.len() {
            let mut check = DelimiterCheck::new("XbX");
            let parts = body.as_bytes().chunks(step).try_for_each(|part| check.check(part));
            assert_eq!(parts, whole, "{step} {body:?}");
        }
        whole
    }

    #[test]
    fn a_boundary_within_a_line_begins_no_field() {
        let field = "--XbX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nfoo--XbX\r\n\r\n-\n--XbX\r\n";
        for before in ["", "\r\n", "text\r\n", "--XbY\r\n", "--Xb\r\n", "-\r\n"] {
            assert_eq!(checked(&format!("{before}{field}--XbX--\r\nxx--XbX\r\n\r\n--XbX\r\n\r\n")), Ok(()), "{before}");
        }
        for before in ["text", "x", "-", "\n", "\r", "text\r\nx", "--XbY"] {
            let refused = Err("its boundary is within a line before the first field");
            assert_eq!(checked(&format!("{before}{field}--XbX--\r\n")), refused, "{before}");
        }
    }

    #[test]
    fn a_field_has_headers() {
        let refused = Err("a field has no headers");
        assert_eq!(checked("--XbX\r\n\r\nfoo\r\n--XbX--"), refused);
        assert_eq!(checked("--XbX\r\nA: b\r\n\r\nfoo\r\n--XbX\r\n\r\n\r\n--XbX--"), refused);
        assert_eq!(checked("--XbX\r\nA: b\r\n\r\nfoo\r\n--XbX\r\nA: b\r\n\r\n\r\n--XbX--"), Ok(()));
    }
}
