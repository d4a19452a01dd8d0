//! Restoring the URI that nested routers have changed, for the old application.
//!
//! Threads: runtime.

use std::task::{Context, Poll};

use axum::extract::{NestedPath, Request};
use http::Uri;
use tower_layer::Layer;
use tower_service::Service;

/// The URI outside of the nests of a migration, in the request's extensions.
#[derive(Debug, Clone)]
struct OuterUri {
    uri: Uri,
    nested: Option<NestedPath>,
}

/// A layer around the nests of a migration, which records the URI before they change it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RememberOuterUri;

impl<R> Layer<R> for RememberOuterUri {
    type Service = Remembering<R>;

    fn layer(&self, routes: R) -> Remembering<R> {
        Remembering { routes }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Remembering<R> {
    routes: R,
}

impl<R: Service<Request>> Service<Request> for Remembering<R> {
    type Response = R::Response;
    type Error = R::Error;
    type Future = R::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        self.routes.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> R::Future {
        let outside = OuterUri { uri: request.uri().clone(), nested: request.extensions().get().cloned() };
        request.extensions_mut().insert(outside);
        self.routes.call(request)
    }
}

/// The old application, behind routes of Rust.
#[derive(Debug, Clone)]
pub(super) struct Legacy<O> {
    service: O,
    /// Whether it is inside of nests of the migration, whose prefixes it must not see.
    is_nested: bool,
}

impl<O: Clone> Legacy<O> {
    pub(super) fn new(service: O) -> Self {
        Self { service, is_nested: false }
    }

    pub(super) fn nested(&self) -> Self {
        Self { service: self.service.clone(), is_nested: true }
    }

    pub(super) fn is_nested(&self) -> bool {
        self.is_nested
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
