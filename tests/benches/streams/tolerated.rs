//! Features that the gateway accepts although most other servers refuse them, with the reasons.

use crate::feature::Feature;

/// The reason why a request with a feature is accepted. If a request has several of the features, the first in this
/// list applies.
pub(crate) const TOLERATED: &[(Feature, &str)] = &[
    (
        Feature::EncodingAndLength,
        "a length beside an encoding: the encoding counts, and the connection ends after the answer (RFC 9112 §6.3)",
    ),
    (Feature::LengthRepeated, "the same length twice: may be taken as one (RFC 9110 §8.6)"),
    (
        Feature::BareLfInHead,
        "a LF alone ends a line of the head (RFC 9112 §2.2 allows it): in a head it frames the same lines for all who accept it",
    ),
    (
        Feature::LowerCaseMethod,
        "a method in small letters: methods are tokens, and their case counts (RFC 9110 §9.1); the application decides",
    ),
    (Feature::AbsoluteTarget, "a target in absolute form: has to be accepted (RFC 9112 §3.2.2)"),
    (
        Feature::RawByteInTarget,
        "a byte above 0x7f in the target: applications get it as WSGI has bytes in text (PEP 3333, on Unicode), and it frames nothing",
    ),
    (
        Feature::UnsafeCharacterInTarget,
        "a character that RFC 3986 wants escaped: browsers send some of them (URL Standard), and they frame nothing",
    ),
    (
        Feature::BadPercentInTarget,
        "a percent sign that starts no escape: stays as it is, as `urllib.parse.unquote` has it",
    ),
    (Feature::FragmentInTarget, "a fragment in the target: is cut off, and frames nothing"),
    (
        Feature::ChunkExtension,
        "a chunk extension with other bytes than a token's: is ignored up to the CRLF (RFC 9112 §7.1.1); with a LF, it is refused",
    ),
    (
        Feature::ChunkSizePadded,
        "spaces after a chunk size: allowed before an extension (RFC 9112 §7.1.1), and accepted without one",
    ),
    (
        Feature::BodyBroken,
        "a body that turns out to be broken after the application, which did not need the rest, has answered",
    ),
    (
        Feature::BareLfInChunks,
        "a LF alone ends a line of the chunks where the application has not read: who reads it gets an error, and no request follows",
    ),
];

/// The reason for features that are refused before an application is called, but accepted on async routes.
const ASYNC: &str = "an async route: Host and codings are looked at by the mounts of applications; what hyper lets pass, reaches other routes";

/// The reason for a group of features. No other feature excuses a feature that must be refused.
pub(crate) fn reason(features: &[Feature]) -> Option<&'static str> {
    let forbidden: Vec<Feature> = features.iter().copied().filter(|feature| feature.is_forbidden()).collect();
    if !forbidden.is_empty() && features.contains(&Feature::AsyncRoute) {
        return Some(ASYNC);
    }
    let counting = if forbidden.is_empty() { features } else { &forbidden };
    TOLERATED.iter().find(|(feature, _)| counting.contains(feature)).map(|(_, reason)| *reason)
}
