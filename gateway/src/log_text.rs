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

/// Text of an application in a message about it: in quotes, and cut to 120 characters, as it may be of any length.
pub(crate) struct Quoted<'t>(pub(crate) &'t str);

const LONGEST_QUOTE: usize = 120;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LONGEST_QUOTE) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}... ({} bytes long)", &self.0[..end], self.0.len()),
        }
    }
}

/// Writes a character. A control character is written as its escape, and so is a character that ends a line or changes
/// its direction in some viewers: no text can pass for several lines, or for another line.
pub(crate) fn write_escaped(out: &mut impl fmt::Write, character: char) -> fmt::Result {
    match character.is_control() || is_layout(character) {
        true => write!(out, "{}", character.escape_default()),
        false => out.write_char(character),
    }
}

/// Whether a character is a separator of lines or paragraphs, or a mark, embedding, override or isolate of a direction
/// (UAX #9).
fn is_layout(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_says_is_quoted_in_part() {
        let text = "\u{e9}\n".repeat(60);
        assert_eq!(Quoted(&text).to_string(), format!("{text:?}"));
        let quoted = Quoted(&(text.clone() + "x")).to_string();
        assert_eq!(quoted, format!("{text:?}... (181 bytes long)"));
    }

    /// LOG-08.
    #[test]
    fn what_a_peer_says_is_one_short_line_in_the_log() {
        assert_eq!(LogField("/a%20b\u{e9}").to_string(), "/a%20b\u{e9}");
        assert_eq!(LogField("/\r\n\u{1b}[31m").to_string(), "/\\r\\n\\u{1b}[31m");
        assert_eq!(LogField("a\u{202e}b\u{2028}c\u{200d}").to_string(), "a\\u{202e}b\\u{2028}c\u{200d}");
        assert_eq!(LogField(&"x".repeat(256)).to_string(), "x".repeat(256));
        assert_eq!(LogField(&"\u{e9}".repeat(5000)).to_string(), "\u{e9}".repeat(128) + "...");
    }
}
