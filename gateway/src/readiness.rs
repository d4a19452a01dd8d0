//! The readiness probe.
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

/// A service that tells a load balancer whether this process should get requests.
///
/// It answers at once, on the runtime, even if the pools are busy: 200 with `ready`, or 503 with one line for each
/// reason:
///
/// | reason | means |
/// |---|---|
/// | `draining` | the pool [drains](Pool::begin_drain), or has shut down |
/// | `saturated` | its threads are busy and its queue is full: the next request by this handle would be refused |
/// | `stuck` | all of its threads, or all but one, are [stuck](crate::Stats::stuck) |
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
    /// The pool drains, or has shut down.
    Draining,
    /// The pool has no room.
    Saturated,
    /// Too many threads of the pool are stuck.
    Stuck,
}

impl Readiness {
    /// A probe without pools, which is always ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pool; a [share](Pool::share) counts the room for its own requests.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// The reasons why this process is not ready, each with the name of its pool.
    pub fn problems(&self) -> Vec<(&str, NotReady)> {
        self.pools.iter().filter_map(|pool| Some((pool.name(), pool.unready()?))).collect()
    }
}

impl Pool {
    /// Why the pool should get no more requests; `None` if it is ready. [`Readiness`] calls it.
    pub fn unready(&self) -> Option<NotReady> {
        self.stats().unready()
    }
}

impl Stats {
    /// Why a pool with these figures should get no more requests; `None` if it is ready.
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
