//! Routes of Rust in front of an old application.
//!
//! Threads: runtime.

use std::collections::HashSet;
use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any_service};
use tower_service::Service;

use super::outer_uri::{Legacy, remember_outer_uri};
use crate::Gateway;

/// A router that prefers routes of Rust and sends every other request to the old application.
///
/// | request | answered by |
/// |---|---|
/// | a method and a path that were given to [`route`](Self::route) | the handler |
/// | HEAD, where there is a handler for GET | the handler, as everywhere in axum |
/// | another method on such a path, OPTIONS included | the old application |
/// | any other path, and any other spelling of a path: `/reports/`, `//reports`, `/%72eports` | the old application |
///
/// axum itself answers nothing: no 404, no 405, and no `Allow` added to a response of the old application. A handler's
/// response is final, whatever its status.
///
/// The old application sees the path as if it were mounted alone in place of this router: `SCRIPT_NAME` is the prefix
/// below which the router is nested, without the prefixes of [`nest`](Self::nest). All routes share clones of one
/// service: for a [`Gateway`], one pool with one budget.
///
/// Generic over the state `S` of the handlers, as [`Router`] is, and over the old service: a [`Gateway`], or a wrapper
/// of one, such as a layer or a [`Shadowed`](crate::migration::Shadowed).
///
/// # Below a prefix
///
/// Use [`Router::nest_service`], which forwards everything. [`Router::nest`] does not match the prefix with a trailing
/// slash: a request for `/shop/` goes to the outer router's fallback, and Python frameworks often have their front page
/// there.
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
    /// The paths whose fallback is already set to the old application.
    shared: HashSet<String>,
}

impl<S, O> Migration<S, O>
where
    S: Clone + Send + Sync + 'static,
    O: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static>,
    O: Clone + Send + Sync + 'static,
{
    /// Sends every request to the old application.
    pub fn new(old: O) -> Self {
        Self::below(Legacy::new(old))
    }

    fn below(old: Legacy<O>) -> Self {
        Self { old, router: Router::new(), shared: HashSet::new() }
    }

    /// Routes the methods of `handlers` on a path to them; other methods stay with the old application. May be called
    /// again for other methods on the same path.
    ///
    /// Paths are written as for [`Router::route`].
    ///
    /// # Panics
    ///
    /// Panics where [`Router::route`] does, and if `handlers` have a fallback of their own, as those of
    /// [`any`](axum::routing::any) have: it would leave no method to the old application. Use
    /// [`route_service`](Self::route_service), or a route of the finished router.
    #[track_caller]
    pub fn route(mut self, path: &str, handlers: MethodRouter<S>) -> Self {
        let handlers = if self.shared.insert(path.to_owned()) {
            // To a fallback made with `any`, axum adds no `Allow`: the methods that axum knows are not all.
            any_service(self.old.clone()).merge(handlers)
        } else {
            handlers
        };
        self.router = self.router.route(path, handlers);
        self
    }

    /// Routes every method of a path to `service`: another [`Gateway`], or a [`Shadowed`](crate::migration::Shadowed)
    /// route.
    ///
    /// # Panics
    ///
    /// Panics where [`Router::route_service`] does.
    #[track_caller]
    pub fn route_service<T>(mut self, path: &str, service: T) -> Self
    where
        T: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static>,
        T: Clone + Send + Sync + 'static,
    {
        self.router = self.router.route_service(path, service);
        self
    }

    /// Adds routes below a prefix, which their handlers do not see. Requests that are left to the old application reach
    /// it as the client sent them.
    ///
    /// # Panics
    ///
    /// Panics where [`Router::nest`] does.
    #[track_caller]
    pub fn nest(mut self, prefix: &str, routes: impl FnOnce(Self) -> Self) -> Self {
        let nested = Router::new().nest(prefix, routes(Self::below(self.old.nested())).router);
        // Only the outermost nest sees the client's URI: inner nests must not overwrite it.
        let nested = if self.old.is_nested { nested } else { nested.layer(map_request(remember_outer_uri)) };
        self.router = self.router.merge(nested);
        self
    }

    /// The router. Routes that are added to it take every method; the old application stays the fallback.
    pub fn into_router(self) -> Router<S> {
        self.router.fallback_service(self.old)
    }
}

/// For [`Router::merge`].
impl<S, O> From<Migration<S, O>> for Router<S>
where
    S: Clone + Send + Sync + 'static,
    O: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static>,
    O: Clone + Send + Sync + 'static,
{
    fn from(migration: Migration<S, O>) -> Self {
        migration.into_router()
    }
}

partial_debug!(Migration<S, O>, |this| shared: this.shared);
