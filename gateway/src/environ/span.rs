//! The span of a request, which contains all its events.
//!
//! Threads: any.

use axum::extract::{MatchedPath, NestedPath};
use http::Method;
use http::request::Parts;

use crate::environ::id::RequestId;
use crate::environ::target;
use crate::log::{self, Level, Span};
use crate::log_text::LogField;

/// What the log says about a request.
pub(crate) struct LogNames<'r> {
    method: &'r Method,
    path: &'r str,
    mount: &'r str,
    route: Option<&'r str>,
}

impl<'r> LogNames<'r> {
    pub(crate) fn of(parts: &'r Parts) -> Self {
        Self {
            method: &parts.method,
            path: target::original_path(parts),
            mount: target::mount_path(parts.extensions.get()),
            route: parts.extensions.get().map(MatchedPath::as_str),
        }
    }
}

/// What routers have stored in the extensions of a request, for the log of a handler, whose extractors get the
/// extensions.
pub(crate) struct Routing {
    nested: Option<NestedPath>,
    matched: Option<MatchedPath>,
}

impl Routing {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self { nested: parts.extensions.get().cloned(), matched: parts.extensions.get().cloned() }
    }

    /// The names of a request whose own URI is the original one.
    pub(crate) fn names<'r>(&'r self, parts: &'r Parts) -> LogNames<'r> {
        LogNames {
            method: &parts.method,
            path: parts.uri.path(),
            mount: target::mount_path(self.nested.as_ref()),
            route: self.matched.as_ref().map(MatchedPath::as_str),
        }
    }
}

/// The span of all events of a request, at a level.
macro_rules! request_span {
    ($level:ident, $names:ident, $id:ident) => {
        log::span!(
            $level,
            "request",
            request_id = %$id,
            method = %LogField($names.method.as_str()),
            path = %LogField($names.path),
            mount = $names.mount,
            route = $names.route,
            status = log::Empty,
            bytes = log::Empty,
            queue_ms = log::Empty,
            run_ms = log::Empty,
            outcome = log::Empty,
        )
    };
}

/// The span of a request. Costs nothing if no subscriber takes the info level.
pub(crate) fn span(parts: &Parts, id: &RequestId) -> Span {
    if !log::may_be_enabled(Level::INFO) {
        return Span::none();
    }
    let names = LogNames::of(parts);
    request_span!(INFO, names, id)
}

/// The span for failures, if the first span is disabled.
pub(crate) fn error_span(names: &LogNames<'_>, id: &RequestId) -> Span {
    request_span!(ERROR, names, id)
}
