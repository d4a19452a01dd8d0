//! The tower service: where requests come in and responses go out.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as HttpBody;
use tower_service::Service;
use tracing::{Instrument as _, Span};

use crate::Application;
use crate::executor::Executor;
use crate::pipe::pipe;
use crate::pool::Pool;
use crate::request::{self, Environ, Feed, Grant, Input, Patience, Progress, RequestId, Spool, Upload};
use crate::response::{Access, Admission, Asked, Body, Pending, ResponseFuture, Timer, Timing};
use crate::settings::Settings;
use crate::worker::Job;

/// Serves an application: a tower [`Service`] for any router or server of the `http` types.
///
/// It is a leaf: every method and every path that reaches it goes to the application. Mount it under a prefix with axum's
/// `nest_service`, on a path with `route_service`, or as the `fallback_service`. The application runs on the threads of a
/// [`Pool`], its response streams, and the service never fails: whatever happens becomes a response.
///
/// | what the client sees | when |
/// |---|---|
/// | the application's response | it has one |
/// | 400 | two `Host` or two `Content-Type` headers; no `Host` on HTTP/1.1; a target that is no path; a broken body the application did not cope with |
/// | 408 | the body did not come in time, and the application did not cope |
/// | 413 | the declared body is over [`body_limit`](Gateway::body_limit); the application is not called |
/// | 431 | the header fields are larger than 408 KiB together |
/// | 500 | the application failed before its first byte |
/// | 501 | CONNECT; a transfer coding other than `chunked` |
/// | 503 | the pool's queue or the [`Spool`](crate::Spool) is full, the wait in line was too long, or the pool has shut down; but for the spool, `Retry-After` says when to come again |
/// | 504 | the [`deadline`](Gateway::deadline) passed before the first byte |
/// | a broken-off message | the application failed, or its deadline passed, after its first byte |
///
/// These answers are short plain text, unless the mount has an [`error_page`](Gateway::error_page) of its own.
///
/// Cloning is cheap, and clones share everything.
///
/// # The log
///
/// All that happens to a request is in a span called `request`, with its id, method, path and mount: at the level of information, or,
/// where that is not listened to, around failures alone. When nothing more can happen to it,
/// one event with the target `gateway::access`, at the level of information, says how it ended: `status`, `bytes` of the
/// body, `duration_ms`, of that `queue_ms` in line and `run_ms` in the application, and `outcome`. The span has them, too. The outcome is one of
///
/// | outcome | meaning |
/// |---|---|
/// | `complete` | all of the application's response was sent |
/// | `error` | the application failed before its first byte, or could not read the request; a clean answer says so |
/// | `aborted` | the application failed later, and the message was broken off |
/// | `client gone` | the client left before it had everything |
/// | `cancelled in queue` | the client left before the application was called, which then never was: in line, or in its body |
/// | `deadline` | the deadline passed first: 504, or a message that was broken off |
/// | `shed` | there was no room: 503 |
/// | `expired in queue` | it waited for a thread for too long: 503, and the application was never called |
/// | `refused` | the gateway refused the request, or its body, without asking the application |
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
/// `poll_ready` is always ready: axum's routers do not ask. Whether there is room is decided in `call`.
///
/// # Threads
///
/// `call` and the future it returns run on the runtime and never block it. A request body that does not fit the read-ahead is
/// fed by a task of its own, one that is waited for, or read away, is timed, and files are written and read on threads: for
/// those, the runtime has to be tokio's, with its timers enabled.
#[derive(Clone)]
pub struct Gateway {
    mount: Arc<Mount>,
}

/// An application with all that was set for it. Shared by the clones of a [`Gateway`] and its requests.
#[derive(Clone)]
pub(crate) struct Mount {
    application: Arc<dyn Application>,
    executor: Arc<dyn Executor>,
    settings: Settings,
}

impl Mount {
    pub(crate) fn application(&self) -> &dyn Application {
        &*self.application
    }

    pub(crate) fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Gateway {
    /// Serves `application`, on a pool of its own with the defaults of [`Pool::builder`].
    pub fn new(application: impl Application) -> Self {
        let settings = Settings::default().named(name_of(&application));
        Self {
            mount: Arc::new(Mount {
                application: Arc::new(application),
                executor: Arc::new(Pool::default()),
                settings,
            }),
        }
    }

    /// Runs the application on `pool`, which mounts may share.
    #[must_use]
    pub fn pool(self, pool: &Pool) -> Self {
        self.executor(pool.clone())
    }

    /// Runs the application on an executor of your own.
    #[must_use]
    pub fn executor(mut self, executor: impl Executor) -> Self {
        Arc::make_mut(&mut self.mount).executor = Arc::new(executor);
        self
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut Arc::make_mut(&mut self.mount).settings
    }

    /// Hands a job over; if there is no room at once, the future will see about it.
    fn submit(&self, arrival: Arrival, mut input: Input, upload: Option<Upload>) -> Pending {
        let Arrival { parts, id, span, timing } = arrival;
        let settings = &self.mount.settings;
        // One that is further away than time goes is none.
        let deadline = settings.deadline.and_then(|after| Instant::now().checked_add(after));
        input.end_at(deadline);
        let buffer = if self.mount.executor.is_inline() { usize::MAX } else { settings.response_buffer };
        let (messages, inbox) = pipe(buffer);
        let environ = Environ::new(parts, id, span, Arc::clone(&self.mount), input, messages.watch(), deadline);
        let record = timing.clone().map(|timing| (timing, Instant::now()));
        let job = Job::new(Arc::clone(&self.mount), environ, messages, record);
        let executor = &self.mount.executor;
        let (longest_wait, admission) = match executor.try_execute(job) {
            Ok(accepted) => (accepted.longest_wait(), None),
            Err(refused) => {
                let mount = Arc::clone(&self.mount);
                let admission: Admission = Box::pin(async move { mount.executor.execute(refused.into_job()).await });
                (executor.longest_wait(), Some(admission))
            }
        };
        let line = longest_wait.map(Timer::new);
        let deadline = deadline.and(settings.deadline).map(Timer::new);
        Pending { inbox, upload, line, deadline, admission, mount: Arc::clone(&self.mount), timing }
    }

    /// Reads the body as far as it will be before its job runs, then hands the job over.
    async fn prepare<B>(self, mut arrival: Arrival, declared: Option<u64>, body: B) -> Result<Pending, StatusCode>
    where
        B: HttpBody + Send + 'static,
    {
        let inline = self.mount.executor.is_inline();
        let settings = &self.mount.settings;
        let ahead = settings.spool.as_ref().map_or(settings.read_ahead, Spool::memory);
        let grant = Grant {
            limit: settings.body_limit,
            buffer: if inline { usize::MAX } else { ahead },
            patience: Patience::new(settings.body_idle, settings.body_deadline),
            ends_itself: arrival.parts.version >= Version::HTTP_2,
            asks_to_continue: expects_continue(&arrival.parts.headers),
        };
        let (mut feed, mut input, upload) = Feed::new(body, declared, grant);
        if let Some(spool) = &settings.spool {
            let rest = match feed.spool(spool, declared).instrument(arrival.span_of_failure()).await {
                Ok(rest) => rest,
                Err(status) => {
                    feed.drain();
                    return Err(status);
                }
            };
            request::declare_length(&mut arrival.parts.headers, rest.total());
            input.continue_with(rest);
            return Ok(self.submit(arrival, input, Some(upload)));
        }
        // A client that waits for `100 Continue` gets it when the body is first polled, which is the application's to decide.
        let streams = ahead == 0 || expects_continue(&arrival.parts.headers);
        let progress = if streams && !inline { Progress::More } else { feed.read_ahead().await };
        let span = arrival.span.clone();
        let pending = self.submit(arrival, input, Some(upload));
        match progress {
            Progress::More => drop(tokio::spawn(feed.run().instrument(span))),
            Progress::Ended => feed.drain(),
        }
        Ok(pending)
    }
}

/// A request that is let in: its head, and what it is called in the log.
struct Arrival {
    parts: Parts,
    id: RequestId,
    span: Span,
    timing: Option<Arc<Timing>>,
}

impl Arrival {
    fn new(parts: Parts) -> Self {
        let id = RequestId::of(&parts.extensions);
        let span = request::span(&parts, &id);
        Self { parts, id, span, timing: None }
    }

    /// The span for what may go wrong.
    fn span_of_failure(&self) -> Span {
        if self.span.is_disabled() { request::late_span(&self.parts, &self.id) } else { self.span.clone() }
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
        let (parts, body) = request.into_parts();
        let mut arrival = Arrival::new(parts);
        let access = Access::begin(&arrival.span, &self.mount.settings.figures);
        arrival.timing = access.as_ref().map(|access| access.timing());
        let parts = &arrival.parts;
        let asked = Asked {
            head_request: parts.method == Method::HEAD,
            page: self.mount.settings.error_page.clone(),
            span: arrival.span.clone(),
            access,
        };
        let declared = request::declared_length(&parts.headers);
        let screened = request::screen(parts).and_then(|()| match declared {
            Some(length) if length > self.mount.settings.body_limit => Err(StatusCode::PAYLOAD_TOO_LARGE),
            _ => Ok(()),
        });
        if let Err(status) = screened {
            if parts.version < Version::HTTP_2 && !expects_continue(&parts.headers) {
                request::drain(Box::pin(body), declared);
            }
            return ResponseFuture::refused(asked, status);
        }
        // A declared body that is not there is an incomplete one, and the feed says so.
        if body.is_end_stream() && declared.unwrap_or(0) == 0 {
            ResponseFuture::waiting(asked, self.submit(arrival, Input::empty(), None))
        } else {
            ResponseFuture::preparing(asked, self.clone().prepare(arrival, declared, body))
        }
    }
}

/// The name of an application's type, without its path and its parameters.
fn name_of<A>(_: &A) -> &'static str {
    let name = std::any::type_name::<A>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.mount.settings).finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn is_a_service<T: Clone + Send + Sync + 'static>() {}
    is_a_service::<Gateway>();
};
