//! Which part of a file a request asks for, and under which conditions.
//!
//! Threads: any.

use std::convert::Infallible;
use std::ops::Range;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::request::Parts;
use http::{HeaderValue, Method};

use crate::files::byte_range::ByteRange;
use crate::files::entity_tag::{TagComparison, is_same, list_matches};
use crate::files::version::Version;

/// The conditions of a request, and the range that it asks for: an extractor, for
/// [`FileResponse::conditions`](crate::FileResponse::conditions).
///
/// These are the method and the header fields `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`,
/// `If-Range` and `Range`. The default has none of them: the whole file.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// GET is the default.
    method: Method,
    fields: HeaderMap,
}

const FIELDS: [HeaderName; 6] = [IF_MATCH, IF_UNMODIFIED_SINCE, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE];

/// The answer to a request for a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Whole,
    Part(Range<u64>),
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
}

impl Conditions {
    /// The conditions in a request of this method with these headers.
    pub fn new(method: &Method, headers: &HeaderMap) -> Self {
        let mut fields = HeaderMap::new();
        for name in FIELDS {
            for value in headers.get_all(&name) {
                fields.append(name.clone(), value.clone());
            }
        }
        Self { method: method.clone(), fields }
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// The answer for this version of a file, in the order of RFC 9110 §13.2.2.
    ///
    /// Only for GET and HEAD. Other methods change a resource, so the application has to check their conditions before
    /// it acts; the file is only the result.
    pub(super) fn evaluate(&self, version: &Version, length: u64) -> Answer {
        if self.method != Method::GET && !self.is_head() {
            return Answer::Whole;
        }
        let tag = version.tag.as_ref().map(HeaderValue::as_bytes);
        if let Some(list) = self.list(&IF_MATCH) {
            if !list_matches(&list, tag, TagComparison::Strong) {
                return Answer::PreconditionFailed;
            }
        } else if let Some((date, modified)) = self.date(&IF_UNMODIFIED_SINCE).zip(version.modified)
            && modified > date
        {
            return Answer::PreconditionFailed;
        }
        if let Some(list) = self.list(&IF_NONE_MATCH) {
            if list_matches(&list, tag, TagComparison::Weak) {
                return Answer::NotModified;
            }
        } else if let Some((date, modified)) = self.date(&IF_MODIFIED_SINCE).zip(version.modified)
            && modified <= date
            // A recent file has no date to the client (§13.1.3).
            && !version.is_recent
        {
            return Answer::NotModified;
        }
        // A range is defined for GET alone (§14.2). An empty file has no part; clients that limit every answer by a
        // range get it whole, as from other servers.
        if self.is_head() || length == 0 || !self.range_applies(version) {
            return Answer::Whole;
        }
        match self.single(&RANGE).and_then(|range| ByteRange::parse(range, length)) {
            None => Answer::Whole,
            Some(ByteRange::Part(part)) => Answer::Part(part),
            Some(ByteRange::Unsatisfiable) => Answer::RangeNotSatisfiable,
        }
    }

    /// `If-Range`: whether the client's first part is of this version (§13.1.5).
    fn range_applies(&self, version: &Version) -> bool {
        if !self.fields.contains_key(IF_RANGE) {
            return true;
        }
        match self.date(&IF_RANGE) {
            // A date is a strong validator only if the file cannot have changed again within its second.
            Some(date) => version.modified == Some(date) && !version.is_recent,
            None => self.single(&IF_RANGE).is_some_and(|tag| {
                let current = version.tag.as_ref().map(HeaderValue::as_bytes);
                is_same(tag.as_bytes(), current)
            }),
        }
    }

    /// The members of a list, which may be spread over several fields.
    fn list(&self, name: &HeaderName) -> Option<Vec<u8>> {
        let mut values = self.fields.get_all(name).iter();
        let mut list = values.next()?.as_bytes().to_vec();
        for value in values {
            list.push(b',');
            list.extend_from_slice(value.as_bytes());
        }
        Some(list)
    }

    /// The value of a field that occurs exactly once.
    fn single(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.fields.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok()
    }

    /// A valid date; an invalid one counts as absent.
    fn date(&self, name: &HeaderName) -> Option<SystemTime> {
        httpdate::parse_http_date(self.single(name)?).ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::new(&parts.method, &parts.headers))
    }
}
