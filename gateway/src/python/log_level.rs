//! The level of text in the formats of Python's `logging`.
//!
//! Threads: any.

use crate::log::Level;

/// The level that a record of `logging` states, or else the error level, as of any text in `wsgi.errors`.
///
/// `wsgi.errors` takes text alone, so the level has to be in the text. It is read where the common formats have it, and
/// nowhere else, because a message may contain the name of a level, too:
///
/// * at the start: `ERROR:root:message`, which is `logging.BASIC_FORMAT`, or `INFO 2026-11-30 12:00:00,000 message`;
/// * after a time, in brackets or not: `[2026-11-30 12:00:00,000] ERROR in app: message`, which is Flask's;
/// * in brackets itself: `[2026-11-30 12:00:00 +0000] [4711] [INFO] message`.
pub(super) fn stated(text: &str) -> Level {
    let mut words = text.split([' ', ':', '[', ']', '\n']).filter(|word| !word.is_empty());
    // Times, zones, process ids and hyphens.
    let is_number = |word: &&str| !word.contains(|c: char| c.is_alphabetic() && !matches!(c, 'T' | 'Z'));
    match words.find(|word| !is_number(word)) {
        Some("DEBUG") => Level::DEBUG,
        Some("INFO") => Level::INFO,
        Some("WARNING") => Level::WARN,
        // `ERROR` and `CRITICAL`, and text without a level.
        _ => Level::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_where_the_formats_of_logging_have_it() {
        for (text, level) in [
            ("ERROR:root:down\n", Level::ERROR),
            ("WARNING:root:slow", Level::WARN),
            ("[2026-11-30 12:00:00,123] INFO in app: ERROR is a word", Level::INFO),
            ("[2026-11-30 12:00:00,123] CRITICAL in app: down", Level::ERROR),
            ("DEBUG 2026-11-30 12:00:00,123 app 4711 text", Level::DEBUG),
            ("2026-11-30T12:00:00Z - WARNING - text", Level::WARN),
            ("[2026-11-30 12:00:00 +0000] [4711] [INFO] text", Level::INFO),
        ] {
            assert_eq!(stated(text), level, "{text}");
        }
    }

    #[test]
    fn other_text_is_an_error() {
        for text in
            ["", "\n", "down", "the level is INFO", "INFORMATION", "Info: x", "Traceback (most recent call last):"]
        {
            assert_eq!(stated(text), Level::ERROR, "{text}");
        }
    }
}
