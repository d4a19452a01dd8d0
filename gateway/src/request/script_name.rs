//! Where the mount ends and the application's own path begins.

use axum::extract::NestedPath;
use http::request::Parts;

use crate::request::target;

/// The two halves of the request path, still percent-encoded.
///
/// `script` is what routing consumed, `info` the rest. Joined they are the request path, byte for byte, so that the URL
/// can be rebuilt (PEP 3333, "URL Reconstruction").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'p> {
    pub(crate) script: &'p str,
    pub(crate) info: &'p str,
}

/// Splits the path the client asked for at the end of the router's nested prefix.
///
/// The prefix itself cannot be searched for: it may be a pattern (`/{tenant}`), and routers rewrite `/p` and `/p/` to the
/// same `/`. So the split counts segments of the original path. A middleware that rewrote the path after the nest is
/// believed over the original.
pub(crate) fn split(parts: &Parts) -> Split<'_> {
    let current = parts.uri.path();
    let original = target::original(parts).path();
    let Some(nested) = parts.extensions.get::<NestedPath>() else {
        return Split { script: "", info: current };
    };
    let depth = nested.as_str().split('/').filter(|segment| !segment.is_empty()).count();
    match cut(original, depth) {
        Some((script, info)) if stripped(info) == current => Split { script, info },
        Some((script, _)) => Split { script, info: current },
        None => Split { script: "", info: current },
    }
}

/// Cuts after `depth` segments.
fn cut(path: &str, depth: usize) -> Option<(&str, &str)> {
    let mut at = 0;
    for _ in 0..depth {
        let start = at + path[at..].find(|character| character != '/')?;
        at = path[start..].find('/').map_or(path.len(), |length| start + length);
    }
    Some(path.split_at(at))
}

/// What a router makes of the rest of a path when it strips a prefix: it eats one slash and puts one back if need be.
fn stripped(info: &str) -> std::borrow::Cow<'_, str> {
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
