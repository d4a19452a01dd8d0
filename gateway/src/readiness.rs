//! Whether to send requests here.
//!
//! Threads: runtime.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::plain_text::plain;
use crate::{Body, Pool, Stats};

/// A service that says whether this process should get requests: for the readiness probe of a load balancer.
///
/// It answers at once, on the runtime, whatever the pools are doing: 200 with `ready`, or 503 with one line for each
/// reason:
///
/// | reason | means |
/// |---|---|
/// | `draining` | the pool is [about to end](Pool::begin_drain), or has |
/// | `saturated` | its threads are busy and its line is full: the next request by this handle would be refused, or wait for a place |
/// | `stuck` | of its threads, all are [stuck](crate::Stats::stuck), or all but one |
///
/// # Example
///
/// ```
/// use axum::Router;
/// use gateway::{Gateway, Pool, Readiness};
///
/// # fn main() -> std::io::Result<()> {
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// let pool = Pool::builder().build()?;
/// let router: Router = Router::new()
///     .route_service("/ready", Readiness::new().pool(&pool))
///     .fallback_service(Gateway::new(app).pool(&pool));
/// # drop(router);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pools: Vec<Pool>,
}

/// Why a pool should get no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// It is about to end, or has.
    Draining,
    /// It has no room.
    Saturated,
    /// Too many of its threads do not come back.
    Stuck,
}

impl Readiness {
    /// Ready, as far as no pool says otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this pool, too; a [share](Pool::share), whether there is room for its own requests.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// What keeps this process from being ready: the name of the pool, and why.
    pub fn problems(&self) -> Vec<(&str, NotReady)> {
        self.pools.iter().filter_map(|pool| Some((pool.name(), pool.unready()?))).collect()
    }
}

impl Pool {
    /// Why the pool should get no more requests, if it should not. [`Readiness`] asks.
    pub fn unready(&self) -> Option<NotReady> {
        self.stats().unready()
    }
}

impl Stats {
    /// Why a pool with these figures should get no more requests, if it should not.
    pub(crate) fn unready(&self) -> Option<NotReady> {
        if self.is_draining || self.is_closed {
            Some(NotReady::Draining)
        } else if self.stuck >= (self.max_threads - 1).max(1) {
            Some(NotReady::Stuck)
        } else if !self.has_room {
            Some(NotReady::Saturated)
        } else {
            None
        }
    }
}

impl<B> Service<Request<B>> for Readiness {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let problems = self.problems();
        let (status, text) = if problems.is_empty() {
            (StatusCode::OK, "ready\n".to_owned())
        } else {
            let lines = problems.iter().map(|(pool, problem)| format!("{pool}: {problem}\n"));
            (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
        };
        ready(Ok(plain(request.method(), status, text)))
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draining => "draining",
            Self::Saturated => "saturated",
            Self::Stuck => "stuck",
        })
    }
}
