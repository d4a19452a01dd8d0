//! One name for one request.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Extensions;
use http::request::Parts;

use crate::log::{self, Span};
use crate::request::target;

/// The name of a request: `gateway.request_id` in the environ, and a field of the span that all its events are in.
///
/// Each request gets one that is unique in its process. A layer that has a better one, such as that of a trusted proxy, puts
/// it into the request's extensions.
///
/// # Example
///
/// ```
/// use axum::{Extension, Router};
/// use gateway::{Gateway, RequestId};
///
/// # let app = gateway::application_fn(|environ, start_response| {
/// #     start_response("200 OK", &[])?;
/// #     Ok(gateway::Chunks::new([environ.get("gateway.request_id").unwrap_or_default().to_owned()]))
/// # });
/// # let client = gateway::testing::Client::new(app);
/// # assert_eq!(client.request("GET", "/").extension(RequestId::new("f00")).send().text(), "f00");
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// // In practice a layer of your own takes it from the request.
/// let router: Router = Router::new().fallback_service(Gateway::new(app)).layer(Extension(RequestId::new("f00")));
/// # drop(router);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Counted(u64),
    Given(Arc<str>),
}

impl RequestId {
    /// A name from elsewhere.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Kind::Given(name.into().into()))
    }

    /// The name that a layer has given the request, or a new one.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        // A random start, so that two runs of a program do not use the same names.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        extensions.get().cloned().unwrap_or_else(|| Self(Kind::Counted(NEXT.fetch_add(1, Ordering::Relaxed))))
    }
}

/// The span that all events of a request are in, at a level.
macro_rules! request_span {
    ($level:ident, $parts:expr, $id:expr) => {
        log::span!(
            $level,
            "request",
            request_id = %$id,
            method = %LogField($parts.method.as_str()),
            path = %LogField(target::original_path($parts)),
            mount = target::mount_path($parts),
            status = log::Empty,
            bytes = log::Empty,
            queue_ms = log::Empty,
            run_ms = log::Empty,
            outcome = log::Empty,
        )
    };
}

/// What a peer says, in the log: on one line, and not longer than anybody reads.
pub(crate) struct LogField<'f>(pub(crate) &'f str);

const LONGEST_FIELD: usize = 256;

impl fmt::Display for LogField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.char_indices() {
            if at >= LONGEST_FIELD {
                return f.write_str("...");
            }
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// The span of a request. It costs nothing where nobody listens to what goes well.
pub(crate) fn span(parts: &Parts, id: &RequestId) -> Span {
    request_span!(INFO, parts, id)
}

/// The span for what goes wrong, where the first one is not listened to.
pub(crate) fn late_span(parts: &Parts, id: &RequestId) -> Span {
    request_span!(ERROR, parts, id)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Counted(number) => write!(f, "{number:016x}"),
            Kind::Given(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&format_args!("{self}")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOG-08.
    #[test]
    fn what_a_peer_says_is_one_short_line_in_the_log() {
        assert_eq!(LogField("/a%20b\u{e9}").to_string(), "/a%20b\u{e9}");
        assert_eq!(LogField("/\r\n\u{1b}[31m").to_string(), "/\\r\\n\\u{1b}[31m");
        assert_eq!(LogField(&"x".repeat(256)).to_string(), "x".repeat(256));
        assert_eq!(LogField(&"\u{e9}".repeat(5000)).to_string(), "\u{e9}".repeat(128) + "...");
    }
}
