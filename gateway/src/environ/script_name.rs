//! Splits the path into the mount's part and the application's part.
//!
//! Threads: any.

use std::borrow::Cow;

use axum::extract::NestedPath;
use http::request::Parts;

use crate::environ::target;

/// The two halves of the request path, still percent-encoded.
///
/// `script` is the part that routing consumed, `info` the rest. Joined they are the request path, byte for byte, so
/// that the URL can be reconstructed (PEP 3333, "URL Reconstruction").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'p> {
    /// The prefix that a proxy in front removed from the path.
    pub(crate) proxy: &'p str,
    pub(crate) script: &'p str,
    pub(crate) info: &'p str,
}

/// Splits the requested path after the router's nested prefix; `configured` is the external prefix of the mount.
///
/// The prefix cannot be searched for in the path: it may be a pattern (`/{tenant}`), and routers rewrite `/p` and `/p/`
/// to the same `/`. So the split counts segments of the original path, including empty ones, which a parameter matches.
/// An empty segment at the end of the prefix belongs to `info`, because `SCRIPT_NAME` has no trailing slash, and so
/// does an encoded slash at the end of a parameter. A path rewritten by middleware after the nest takes precedence over
/// the original.
pub(crate) fn split<'p>(parts: &'p Parts, configured: &'p str) -> Split<'p> {
    let (script, info) = split_nested(parts);
    if configured.is_empty() || within(configured, script).is_some() {
        return Split { proxy: "", script, info };
    }
    // The proxy leaves the prefix in the path, and no router removed it.
    if let Some(rest) = within(configured, info).filter(|_| script.is_empty()) {
        return Split { proxy: "", script: &info[..configured.len()], info: rest };
    }
    Split { proxy: configured, script, info }
}

fn split_nested(parts: &Parts) -> (&str, &str) {
    let current = parts.uri.path();
    let original = target::original(parts).path();
    let Some(nested) = parts.extensions.get::<NestedPath>() else { return ("", current) };
    match cut(original, depth(nested.as_str())) {
        Some((script, info)) => {
            let script = without_slashes(script);
            let is_routed = stripped(info) == current || is_left_by_nests(original, nested.as_str(), current);
            (script, if is_routed { &original[script.len()..] } else { current })
        }
        None => ("", current),
    }
}

/// Without the slashes at the end, which may be encoded.
fn without_slashes(mut script: &str) -> &str {
    while let Some(rest) = ["/", "%2F", "%2f"].iter().find_map(|slash| script.strip_suffix(slash)) {
        script = rest;
    }
    script
}

/// The number of segments of a prefix; a trailing slash adds none.
pub(crate) fn depth(prefix: &str) -> usize {
    prefix.trim_end_matches('/').matches('/').count()
}

/// Cuts after `depth` segments.
pub(crate) fn cut(path: &str, depth: usize) -> Option<(&str, &str)> {
    let mut rest = path;
    for _ in 0..depth {
        let segment = rest.strip_prefix('/')?;
        rest = segment.find('/').map_or("", |end| &segment[end..]);
    }
    Some(path.split_at(path.len() - rest.len()))
}

/// The rest of a path that is the prefix or below it: `/foobar` is not below `/foo`.
pub(crate) fn within<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path that a router leaves after stripping a prefix: it removes one slash, and adds one if none is left.
fn stripped(info: &str) -> Cow<'_, str> {
    match info.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') => info.into(),
        Some(rest) => rest.into(),
        None => format!("/{info}").into(),
    }
}

/// Whether nests with this pattern turn `path` into `current`, for a path with empty segments, which nests count
/// differently from [`cut`].
///
/// Each nest removes the slash after its prefix, so the next nest sees no empty segment there; a prefix with a trailing
/// slash removes one more. The pattern does not show where one nest ends and the next begins, so every division is
/// tried.
fn is_left_by_nests(path: &str, pattern: &str, current: &str) -> bool {
    let [Some(path), Some(pattern), Some(current)] =
        [path, pattern.trim_end_matches('/'), current].map(|path| path.strip_prefix('/'))
    else {
        return false;
    };
    if !path.contains("//") && !path.starts_with('/') {
        return false;
    }
    let segments: Vec<&str> = pattern.split('/').collect();
    // The possible rests of the path after so many segments of the pattern. All are ends of the path, so their lengths
    // identify them.
    let mut left: Vec<Vec<&str>> = vec![Vec::new(); segments.len() + 1];
    left[0].push(path);
    for begin in 0..segments.len() {
        for path in std::mem::take(&mut left[begin]) {
            for end in begin + 1..=segments.len() {
                for ends_with_slash in [false, true] {
                    let rest = nest(path, &segments[begin..end], ends_with_slash);
                    if !left[end].iter().any(|known| known.len() == rest.len()) {
                        left[end].push(rest);
                    }
                }
            }
        }
    }
    left.last().is_some_and(|ends| ends.contains(&current))
}

/// The path that axum's nest makes of `path`; both without their first slash. A path that is not below the prefix stays
/// unchanged.
fn nest<'p>(path: &'p str, prefix: &[&str], ends_with_slash: bool) -> &'p str {
    let mut rest = Some(path);
    for wanted in prefix {
        let Some(text) = rest else { return path };
        let (segment, after) = text.split_once('/').map_or((text, None), |(segment, after)| (segment, Some(after)));
        let is_parameter = wanted.starts_with('{') && !wanted.starts_with("{{") && wanted.ends_with('}');
        if !is_parameter && *wanted != segment {
            return path;
        }
        rest = after;
    }
    let rest = match rest {
        None if ends_with_slash => return path,
        Some(text) if ends_with_slash => text.strip_prefix('/').unwrap_or(text),
        rest => rest.unwrap_or_default(),
    };
    // The slash that the path begins with, or that axum adds.
    rest.strip_prefix('/').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_behind_the_segments_that_routing_matched() {
        assert_eq!(cut("/api/x", 1), Some(("/api", "/x")));
        assert_eq!(cut("/api", 1), Some(("/api", "")));
        assert_eq!(cut("/api/", 1), Some(("/api", "/")));
        assert_eq!(cut("/a//b//x", 2), Some(("/a/", "/b//x")));
        assert_eq!(cut("/a//b//x", 3), Some(("/a//b", "//x")));
        assert_eq!(cut("//v1/x", 2), Some(("//v1", "/x")));
        assert_eq!(cut("//", 1), Some(("/", "/")));
        assert_eq!(cut("/api", 2), None);
        assert_eq!(cut("/x", 0), Some(("", "/x")));
        assert_eq!(cut("x", 1), None);
        assert_eq!([depth("/a/{b}"), depth("/a/"), depth("/a//b"), depth("")], [2, 1, 3, 0]);
    }
}
