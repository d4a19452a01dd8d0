//! Native strings: text whose characters are bytes. The only conversion between bytes and text.
//!
//! The term is from PEP 3333 ("Unicode Issues"): every character is at most U+00FF and stands for one byte on the wire,
//! so both directions are lossless.
//!
//! Threads: any.

use std::borrow::Cow;
use std::cell::OnceCell;

/// Decodes bytes; ASCII is borrowed.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// Encodes text; `None` if a character is above U+00FF. ASCII is borrowed.
pub(crate) fn encode(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|character| u8::try_from(character).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
}

/// Whether text is native.
pub(crate) fn is_native(text: &str) -> bool {
    text.chars().all(|character| u8::try_from(character).is_ok())
}

/// Decodes bytes; the text is stored in the cell unless it can be borrowed.
pub(crate) fn lend<'e>(bytes: &'e [u8], cell: impl FnOnce() -> &'e OnceCell<String>) -> &'e str {
    match decode(bytes) {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => cell().get_or_init(|| text),
    }
}

/// Percent-decodes exactly once, to native text.
pub(crate) fn decode_percent(encoded: &str) -> Cow<'_, str> {
    match Cow::from(percent_encoding::percent_decode_str(encoded)) {
        Cow::Borrowed(bytes) => decode(bytes),
        Cow::Owned(bytes) => Cow::Owned(decode(&bytes).into_owned()),
    }
}

/// Percent-decodes exactly once, to native text; the text is stored in the cell unless it can be borrowed.
pub(crate) fn lend_decoded<'e>(encoded: &'e str, cell: impl FnOnce() -> &'e OnceCell<String>) -> &'e str {
    match decode_percent(encoded) {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => cell().get_or_init(|| text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ENV-02.
    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = decode(&all);
        assert_eq!(text.chars().count(), 256);
        assert_eq!(encode(&text).as_deref(), Some(&*all));
        assert_eq!(encode("\u{100}"), None);
    }
}
