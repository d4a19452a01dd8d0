//! Entity tags in header fields.
//!
//! Threads: any.

use memchr::memchr;

/// How two entity tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TagComparison {
    /// The bytes are the same: neither tag is weak.
    Strong,
    /// The content is equivalent.
    Weak,
}

/// Whether a list of entity tags, or `*`, names the current tag. Tags after an invalid one are ignored.
pub(super) fn list_matches(list: &[u8], current: Option<&[u8]>, comparison: TagComparison) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let Some((current, b"")) = current.and_then(parse) else { return false };
    let mut rest = list;
    while let Some((tag, after)) = parse(rest).filter(|(_, after)| ends_member(after)) {
        if tag.opaque == current.opaque && (comparison == TagComparison::Weak || !tag.is_weak && !current.is_weak) {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether a field is one entity tag, and the current one, by a strong comparison.
pub(super) fn is_same(field: &[u8], current: Option<&[u8]>) -> bool {
    field.starts_with(b"\"")
        && parse(field).is_some_and(|(_, after)| after.is_empty())
        && list_matches(field, current, TagComparison::Strong)
}

/// Whether a member of a list ends here: nothing follows, or a comma.
fn ends_member(after: &[u8]) -> bool {
    matches!(after.trim_ascii_start(), [] | [b',', ..])
}

struct EntityTag<'t> {
    is_weak: bool,
    opaque: &'t [u8],
}

/// The first tag, and the rest of the list.
fn parse(list: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    let start = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let list = &list[start..];
    let (is_weak, quoted) = list.strip_prefix(b"W/").map_or((false, list), |rest| (true, rest));
    let text = quoted.strip_prefix(b"\"")?;
    let end = memchr(b'"', text)?;
    Some((EntityTag { is_weak, opaque: &text[..end] }, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        let found = |list: &str, comparison| list_matches(list.as_bytes(), Some(b"\"a\""), comparison);
        for list in ["\"a\"", "\"b\", \"a\"", ", \"b,c\" ,\t\"a\"", "*", " * ", "W/\"x\",\"a\""] {
            assert!(found(list, TagComparison::Strong) && found(list, TagComparison::Weak), "{list}");
        }
        for list in [
            "",
            "a",
            "\"A\"",
            "\"b\"",
            "\"a",
            "x, \"a\"",
            "\"b,\"a\"\"",
            "w/\"a\"",
            "**",
            "\"b\" \"a\"",
            "\"a\"x",
            "\"a\"\"",
        ] {
            assert!(!found(list, TagComparison::Strong) && !found(list, TagComparison::Weak), "{list}");
        }
        assert!(found("W/\"a\"", TagComparison::Weak) && !found("W/\"a\"", TagComparison::Strong));
        assert!(!list_matches(b"W/\"a\"", Some(b"W/\"a\""), TagComparison::Strong));
        assert!(list_matches(b"\"a\"", Some(b"W/\"a\""), TagComparison::Weak));
        assert!(!list_matches(b"\"a\"", None, TagComparison::Weak));
        assert!(is_same(b"\"a\"", Some(b"\"a\"")));
        for field in ["\"b\"", "W/\"a\"", "\"a\",", "\"a\" ", "\"a\", \"a\"", ",\"a\"", "\"a\"\"", "\"a\"x", "*", ""] {
            assert!(!is_same(field.as_bytes(), Some(b"\"a\"")), "{field}");
        }
    }
}
