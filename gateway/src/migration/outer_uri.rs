//! Restoring the URI that nested routers have changed, for the old application.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use axum::extract::{NestedPath, Request};
use http::Uri;
use tower_service::Service;

/// The URI outside of the nests of a migration, in the request's extensions.
#[derive(Debug, Clone)]
struct OuterUri {
    uri: Uri,
    nested: Option<NestedPath>,
}

/// Records the URI before the nests of a migration change it.
pub(super) async fn remember_outer_uri(mut request: Request) -> Request {
    let outside = OuterUri { uri: request.uri().clone(), nested: request.extensions().get().cloned() };
    request.extensions_mut().insert(outside);
    request
}

/// The old application, behind routes of Rust.
#[derive(Debug, Clone)]
pub(super) struct Legacy<O> {
    service: O,
    /// Whether it is inside nests of the migration, whose prefixes it must not see.
    pub(super) is_nested: bool,
}

impl<O: Clone> Legacy<O> {
    pub(super) fn new(service: O) -> Self {
        Self { service, is_nested: false }
    }

    pub(super) fn nested(&self) -> Self {
        Self { service: self.service.clone(), is_nested: true }
    }
}

impl<O: Service<Request>> Service<Request> for Legacy<O> {
    type Response = O::Response;
    type Error = O::Error;
    type Future = O::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> O::Future {
        if self.is_nested
            && let Some(outside) = request.extensions_mut().remove::<OuterUri>()
        {
            *request.uri_mut() = outside.uri;
            // The migration may be nested itself: restore the outer `NestedPath`.
            match outside.nested {
                Some(nested) => drop(request.extensions_mut().insert(nested)),
                None => drop(request.extensions_mut().remove::<NestedPath>()),
            }
        }
        self.service.call(request)
    }
}
