//! Escapes text of peers and applications for a log.
//!
//! Threads: any.

use std::fmt;

/// Text from a peer, for the log: on one line, and cut to 256 bytes.
pub(crate) struct LogField<'f>(pub(crate) &'f str);

const LONGEST_FIELD: usize = 256;

impl fmt::Display for LogField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.char_indices() {
            if at >= LONGEST_FIELD {
                return f.write_str("...");
            }
            write_escaped(f, character)?;
        }
        Ok(())
    }
}

/// Writes a character; a control character as its escape, so that no text can pass for several lines.
pub(crate) fn write_escaped(out: &mut impl fmt::Write, character: char) -> fmt::Result {
    match character.is_control() {
        true => write!(out, "{}", character.escape_default()),
        false => out.write_char(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOG-08.
    #[test]
    fn what_a_peer_says_is_one_short_line_in_the_log() {
        assert_eq!(LogField("/a%20b\u{e9}").to_string(), "/a%20b\u{e9}");
        assert_eq!(LogField("/\r\n\u{1b}[31m").to_string(), "/\\r\\n\\u{1b}[31m");
        assert_eq!(LogField(&"x".repeat(256)).to_string(), "x".repeat(256));
        assert_eq!(LogField(&"\u{e9}".repeat(5000)).to_string(), "\u{e9}".repeat(128) + "...");
    }
}
