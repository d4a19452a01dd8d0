//! Where the mount ends and the application's own path begins.

use std::borrow::Cow;

use axum::extract::NestedPath;
use http::request::Parts;

use crate::request::target;

/// The two halves of the request path, still percent-encoded.
///
/// `script` is what routing consumed, `info` the rest. Joined they are the request path, byte for byte, so that the URL
/// can be rebuilt (PEP 3333, "URL Reconstruction").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'p> {
    /// What a proxy in front has taken off the path before it came here.
    pub(crate) proxy: &'p str,
    pub(crate) script: &'p str,
    pub(crate) info: &'p str,
}

/// Splits the path the client asked for at the end of the router's nested prefix; `configured` is where the mount says
/// it can be found from outside.
///
/// The prefix itself cannot be searched for: it may be a pattern (`/{tenant}`), and routers rewrite `/p` and `/p/` to the
/// same `/`. So the split counts segments of the original path. A middleware that rewrote the path after the nest is
/// believed over the original.
pub(crate) fn split<'p>(parts: &'p Parts, configured: &'p str) -> Split<'p> {
    let (script, info) = split_nested(parts);
    if configured.is_empty() || within(configured, script).is_some() {
        return Split { proxy: "", script, info };
    }
    // A proxy that leaves the path as it is, and no router that took the prefix off.
    if let Some(rest) = within(configured, info).filter(|_| script.is_empty()) {
        return Split { proxy: "", script: &info[..configured.len()], info: rest };
    }
    Split { proxy: configured, script, info }
}

fn split_nested(parts: &Parts) -> (&str, &str) {
    let current = parts.uri.path();
    let original = target::original(parts).path();
    let Some(nested) = parts.extensions.get::<NestedPath>() else {
        return ("", current);
    };
    match cut(original, depth(nested.as_str())) {
        Some((script, info)) if stripped(info) == current => (script, info),
        Some((script, _)) => (script, current),
        None => ("", current),
    }
}

/// How many segments a prefix has.
pub(crate) fn depth(prefix: &str) -> usize {
    prefix.split('/').filter(|segment| !segment.is_empty()).count()
}

/// Cuts after `depth` segments.
pub(crate) fn cut(path: &str, depth: usize) -> Option<(&str, &str)> {
    let mut at = 0;
    for _ in 0..depth {
        let start = at + path[at..].find(|character| character != '/')?;
        at = path[start..].find('/').map_or(path.len(), |length| start + length);
    }
    Some(path.split_at(at))
}

/// The rest of a path that is the prefix or below it: `/foobar` is not below `/foo`.
pub(crate) fn within<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a router makes of the rest of a path when it strips a prefix: it eats one slash and puts one back if need be.
fn stripped(info: &str) -> Cow<'_, str> {
    match info.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') => info.into(),
        Some(rest) => rest.into(),
        None => format!("/{info}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_behind_the_segments_that_routing_matched() {
        assert_eq!(cut("/api/x", 1), Some(("/api", "/x")));
        assert_eq!(cut("/api", 1), Some(("/api", "")));
        assert_eq!(cut("/api/", 1), Some(("/api", "/")));
        assert_eq!(cut("/a//b//x", 2), Some(("/a//b", "//x")));
        assert_eq!(cut("/api", 2), None);
        assert_eq!(cut("/x", 0), Some(("", "/x")));
    }
}
