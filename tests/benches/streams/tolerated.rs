//! What the gateway accepts although most of the others refuse it, and why.

use crate::feature::Feature;

/// A request with one of these features is accepted for this reason.
pub(crate) const TOLERATED: &[(Feature, &str)] = &[];

/// The reason for a group of features: that of the first one that has any.
pub(crate) fn reason(features: &[Feature]) -> Option<&'static str> {
    TOLERATED.iter().find(|(feature, _)| features.contains(feature)).map(|(_, reason)| *reason)
}
