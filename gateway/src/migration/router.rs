//! Routes of Rust in front of an old application.
//!
//! Threads: runtime.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any_service};
use tower_service::Service;

use super::outer_uri::{Legacy, RememberOuterUri};
use crate::Gateway;

/// A router in which the routes of Rust win, and all else is the old application's.
///
/// | request | answered by |
/// |---|---|
/// | a method and a path that were given to [`route`](Self::route) | the handler |
/// | HEAD, where there is a handler for GET | the handler, as everywhere in axum |
/// | another method on such a path, OPTIONS included | the old application |
/// | any other path, and any other spelling of a path: `/reports/`, `//reports`, `/%72eports` | the old application |
///
/// axum answers nothing by itself: no 404 and no 405, and it adds no `Allow` to what the old application says. What a
/// handler answers stands, whatever the status.
///
/// The old application sees the path of the request as if it were mounted alone where this router is: `SCRIPT_NAME` is
/// the prefix below which the router is nested, and nothing of what [`nest`](Self::nest) takes off for the handlers.
/// All ways lead to clones of one service: for a [`Gateway`], that is one pool with its one budget.
///
/// It is generic over the state `S` of the handlers, as [`Router`] is, and over the old side, which is a [`Gateway`] or
/// whatever is around one: a layer, or a [`Shadowed`](crate::migration::Shadowed).
///
/// # Below a prefix
///
/// Use [`Router::nest_service`], which hands everything on. [`Router::nest`] does not know the prefix with a slash
/// behind it: a request for `/shop/` goes to the outer router's fallback, where Python's frameworks tend to have their
/// front page.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use axum::extract::{Path, State};
/// use axum::routing::get;
/// use gateway::Gateway;
/// use gateway::migration::Migration;
///
/// # let shop = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// async fn report(State(title): State<String>, Path(year): Path<u16>) -> String {
///     format!("{title} of {year}\n")
/// }
///
/// let shop: Router = Migration::new(Gateway::new(shop))
///     .nest("/reports", |reports| reports.route("/{year}", get(report)))
///     .into_router()
///     .with_state("The report".to_owned());
/// let app: Router = Router::new().route("/health", get(|| async { "ok" })).nest_service("/shop", shop);
/// # drop(app);
/// ```
#[derive(Clone)]
#[must_use = "a migration is turned into a router to serve it"]
pub struct Migration<S = (), O = Gateway> {
    old: Legacy<O>,
    router: Router<S>,
    /// The paths whose other methods are the old application's by now.
    shared: HashSet<String>,
}

impl<S, O> Migration<S, O>
where
    S: Clone + Send + Sync + 'static,
    O: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
    O::Response: IntoResponse,
    O::Future: Send + 'static,
{
    /// Everything is still the old application's.
    pub fn new(old: O) -> Self {
        Self::below(Legacy::new(old))
    }

    fn below(old: Legacy<O>) -> Self {
        Self { old, router: Router::new(), shared: HashSet::new() }
    }

    /// Takes the methods of `handlers` on a path over; the others stay with the old application. May be called again
    /// for other methods on the same path.
    ///
    /// Paths are written as for [`Router::route`].
    ///
    /// # Panics
    ///
    /// Panics where [`Router::route`] does, and if `handlers` have a fallback of their own, as those of
    /// [`any`](axum::routing::any) have: then no method is left for the old application, and
    /// [`route_service`](Self::route_service), or a route of the finished router, says so.
    #[track_caller]
    pub fn route(mut self, path: &str, handlers: MethodRouter<S>) -> Self {
        let handlers = if self.shared.insert(path.to_owned()) {
            // A fallback by way of `any` is one to which axum adds no `Allow` with the methods that it knows: they are
            // not all.
            any_service(self.old.clone()).merge(handlers)
        } else {
            handlers
        };
        self.router = self.router.route(path, handlers);
        self
    }

    /// Takes a path over with every method: for another [`Gateway`], or a [`Shadowed`](crate::migration::Shadowed)
    /// route.
    ///
    /// # Panics
    ///
    /// Panics where [`Router::route_service`] does.
    #[track_caller]
    pub fn route_service<T>(mut self, path: &str, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.router = self.router.route_service(path, service);
        self
    }

    /// Routes below a prefix, which their handlers do not see. The old application does: what they leave to it, it gets
    /// as the client sent it.
    ///
    /// # Panics
    ///
    /// Panics where [`Router::nest`] does.
    #[track_caller]
    pub fn nest(mut self, prefix: &str, routes: impl FnOnce(Self) -> Self) -> Self {
        let nested = Router::new().nest(prefix, routes(Self::below(self.old.nested())).router);
        // The outermost nest knows what the client asked for, and others must not speak over it.
        let nested = if self.old.is_nested() { nested } else { nested.layer(RememberOuterUri) };
        self.router = self.router.merge(nested);
        self
    }

    /// The router. Routes may be added to it: they are Rust's for every method, and the old application stays the
    /// fallback.
    pub fn into_router(self) -> Router<S> {
        self.router.fallback_service(self.old)
    }
}

/// For [`Router::merge`].
impl<S, O> From<Migration<S, O>> for Router<S>
where
    S: Clone + Send + Sync + 'static,
    O: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
    O::Response: IntoResponse,
    O::Future: Send + 'static,
{
    fn from(migration: Migration<S, O>) -> Self {
        migration.into_router()
    }
}

impl<S, O> fmt::Debug for Migration<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("shared", &self.shared).finish_non_exhaustive()
    }
}
