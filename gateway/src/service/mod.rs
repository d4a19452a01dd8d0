//! The tower service that turns requests into responses.
//!
//! Threads: runtime.

// In the order in which a request passes them.
mod setters;
pub(crate) mod mount;
mod name;
pub(crate) mod validate;
pub(crate) mod valid_request;
pub(crate) mod dispatch;
pub(crate) mod response_future;
pub(crate) mod keep_alive;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use crate::Application;
use crate::executor::Executor;
use crate::pool::Pool;
use crate::response::body::Body;
use crate::run_times::RunTimes;
use crate::service::dispatch::Dispatch;
use crate::service::mount::Mount;
use crate::service::name::name_of;
use crate::service::response_future::ResponseFuture;
use crate::service::valid_request::ValidRequest;
use crate::settings::Settings;
use crate::work::Work;

/// Serves an application: a tower [`Service`] for any router or server of the `http` types.
///
/// It is a leaf: every method and every path that reaches it goes to the application. Mount it under a prefix with
/// axum's `nest_service`, on a path with `route_service`, or as the `fallback_service`. The application runs on the
/// threads of a [`Pool`], its response streams, and the service never fails: every error becomes a response.
///
/// | what the client sees | when |
/// |---|---|
/// | the application's response | it has one |
/// | 400 | two `Host` or two `Content-Type` headers; no `Host` on HTTP/1.1; a `Host` that differs from HTTP/2's `:authority`; a target that is no path; a broken body, if the application does not handle the error |
/// | 408 | the body came too late, if the application does not handle the error |
/// | 413 | the declared body is over [`body_limit`](Gateway::body_limit); the application is not called |
/// | 431 | the header fields are larger than 408 KiB together |
/// | 500 | the application failed before its first byte |
/// | 501 | CONNECT; a transfer coding other than `chunked` |
/// | 503 | the pool's queue or the [`Spool`](crate::Spool) is full, the request was queued for too long, or the pool has shut down; except for the spool, `Retry-After` says when to retry |
/// | 504 | the [`deadline`](Gateway::deadline) passed before the first byte |
/// | a broken-off message | the application failed, or its deadline passed, after its first byte |
///
/// These responses are short plain text, unless the mount has an [`error_page`](Gateway::error_page) of its own.
///
/// Cloning is cheap, and clones share everything.
///
/// # The log
///
/// All events of a request are in a span called `request`, with its id, method, path and mount, and its route if it
/// came by one of axum's router: at the info level, or, if that level is disabled, around failures alone. When the
/// request is over, one event with the target `gateway::access`, at the info level, records how it ended: `status`,
/// `bytes` of the body, `duration_ms`, of which `queue_ms` in the queue and `run_ms` in the application, and `outcome`.
/// Then the span gets these fields, too. The outcome is one of
///
/// | outcome | meaning |
/// |---|---|
/// | `complete` | all of the application's response was sent |
/// | `error` | the application failed before its first byte, or the request body could not be spooled; the client got a clean response |
/// | `aborted` | the application failed later, and the message was broken off |
/// | `client error` | the request, or its body, cannot be served: 400, 408, 413, 431 or 501, or a message that was broken off |
/// | `client gone` | the client disconnected before it had the whole response, or took nothing for [`write_stall`](Gateway::write_stall) |
/// | `cancelled in queue` | the client disconnected while the request was queued or its body was read; the application was not called |
/// | `deadline` | the deadline passed first: 504, or a message that was broken off |
/// | `shed` | there was no room: 503 |
/// | `expired in queue` | the request, or its body, was queued for too long: 503; the application was not called |
/// | `refused` | an extractor of a [handler](crate::Pool::handler) refused the request; the handler was not called |
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok(["Hello!\n"])
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(64).queue(256).build()?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { "async neighbours stay async" }))
///     .nest_service("/legacy", Gateway::new(hello).pool(&pool));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
///
/// # Readiness
///
/// `poll_ready` is always ready, because axum's routers do not call it. `call` decides whether there is room.
///
/// # Threads
///
/// `call` and the future it returns run on the runtime and never block it. A task of its own pumps a request body that
/// does not fit the read-ahead, body timeouts and discards use timers, and files use threads for blocking work: these
/// need tokio's runtime, with timers enabled.
#[derive(Clone)]
pub struct Gateway {
    /// One reference, as a router clones its services for each request.
    served: Arc<Served>,
}

#[derive(Clone)]
struct Served {
    application: Arc<dyn Application>,
    mount: Arc<Mount>,
}

impl Gateway {
    /// Serves `application`, on a pool of its own with the defaults of [`Pool::builder`].
    pub fn new<A>(application: A) -> Self
    where
        A: Application,
    {
        let settings = Settings::default().named(&name_of::<A>());
        let mount = Arc::new(Mount { executor: Arc::new(Pool::default()), settings });
        Self { served: Arc::new(Served { application: Arc::new(application), mount }) }
    }

    /// Runs the application on `pool`, which mounts may share.
    #[must_use]
    pub fn pool(self, pool: &Pool) -> Self {
        self.executor(pool.clone())
    }

    /// Runs the application on an executor of your own.
    #[must_use]
    pub fn executor(mut self, executor: impl Executor) -> Self {
        let mount = self.mount_mut();
        mount.executor = Arc::new(executor);
        // The figures of a mount are those on its executor.
        let name = Arc::clone(&mount.settings.name);
        mount.settings = mount.settings.clone().named(&name);
        self
    }

    // Every job counts as short; see `PoolBuilder::drivers`. For tests, which must not depend on time.
    #[doc(hidden)]
    #[must_use]
    pub fn assume_short(mut self) -> Self {
        self.settings_mut().run_times = Arc::new(RunTimes::assumed());
        self
    }

    fn mount_mut(&mut self) -> &mut Mount {
        Arc::make_mut(&mut Arc::make_mut(&mut self.served).mount)
    }

    /// The mount of a handler. Named after its fn, unless the gateway was given a name.
    pub(crate) fn mount_for<F>(&self) -> Arc<Mount> {
        let mount = self.mount();
        if mount.settings.is_named {
            return Arc::clone(mount);
        }
        let settings = mount.settings.clone().named(&name_of::<F>());
        Arc::new(Mount { executor: Arc::clone(&mount.executor), settings })
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.served.mount
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.mount_mut().settings
    }
}

impl<B> Service<Request<B>> for Gateway
where
    B: HttpBody + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let Served { application, mount } = &*self.served;
        let (valid, body) = match ValidRequest::of(mount, request) {
            Ok(valid) => valid,
            Err(refused) => return refused,
        };
        let ValidRequest { parts, id, span, timing, context, declared, meta } = valid;
        let work = Work::Application(Arc::clone(application));
        let dispatch = Dispatch::new(parts, id, span, timing, context, mount, work);
        // An empty body with a declared length is incomplete, which the source reports.
        if body.is_end_stream() && declared.unwrap_or(0) == 0 {
            return ResponseFuture::waiting(meta, dispatch.hand_over());
        }
        match &mount.settings.spool {
            Some(spool) => ResponseFuture::preparing(meta, mount, dispatch.spool(body, declared, spool.clone())),
            None => ResponseFuture::preparing(meta, mount, dispatch.read_ahead(body, declared)),
        }
    }
}

partial_debug!(Gateway, |this| settings: this.mount().settings);

const _: fn() = || {
    fn is_a_service<T: Clone + Send + Sync + 'static>() {}
    is_a_service::<Gateway>();
};
