//! The header field `Range`.
//!
//! Threads: any.

use std::ops::Range;

/// The bytes that a `Range` field asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ByteRange {
    Part(Range<u64>),
    /// No byte of the file is in the range.
    Unsatisfiable,
}

impl ByteRange {
    /// Parses `bytes=0-99`, `bytes=100-` or `bytes=-100` for a file of this length (RFC 9110 §14.1.2).
    ///
    /// `None` for an invalid field, another unit and several ranges: a server may ignore all of these (§14.2). Several
    /// small ranges of one file are a means of attack; the clients that send them also accept the whole file.
    pub(super) fn parse(field: &str, length: u64) -> Option<Self> {
        let (unit, set) = field.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let mut ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return None };
        let (first, last) = range.split_once('-')?;
        let part = match (first, last) {
            ("", suffix) => length.saturating_sub(number(suffix)?)..length,
            (first, "") => number(first)?..length,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(length)
            }
        };
        Some(if part.is_empty() { Self::Unsatisfiable } else { Self::Part(part) })
    }
}

/// A position, which may be larger than any file.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_of_the_file_or_is_ignored() {
        const HUGE: &str = "bytes=0-99999999999999999999999";
        for (field, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("bytes=9-", 9..10),
            ("bytes=9-9", 9..10),
            ("bytes=9-10", 9..10),
            (HUGE, 0..10),
            ("bytes=-1", 9..10),
            ("bytes=-10", 0..10),
            ("bytes=-11", 0..10),
            ("Bytes=0-1", 0..2),
            ("bytes= 0-1 , ", 0..2),
        ] {
            assert_eq!(ByteRange::parse(field, 10), Some(ByteRange::Part(part)), "{field}");
        }
        for field in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(ByteRange::parse(field, 10), Some(ByteRange::Unsatisfiable), "{field}");
        }
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=,",
            "bytes=4-2",
            "bytes=+1-2",
            "bytes=1-x",
            "bytes=x-1",
            "bytes=--1",
            "bytes=1--2",
            "bytes=0x1-2",
            "bytes=0-1,4-5",
            "lines=0-1",
            "bytes=0 - 1",
            "0-1",
            "bytes=-+1",
        ] {
            assert_eq!(ByteRange::parse(field, 10), None, "{field}");
        }
    }
}
