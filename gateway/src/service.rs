//! The tower service: where requests come in and responses go out.

use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower_service::Service;
use tracing::Instrument as _;

use crate::Application;
use crate::executor::Executor;
use crate::pipe::pipe;
use crate::pool::Pool;
use crate::request::{self, Environ, Feed, Grant, Input, Patience, Upload};
use crate::response::{Admission, Body, Pending, ResponseFuture};
use crate::settings::Settings;
use crate::sync::Arc;
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
/// | 400 | two `Host` or two `Content-Type` headers; a target that is no path; a broken body the application did not cope with |
/// | 408 | the body did not come in time, and the application did not cope |
/// | 413 | the declared body is over [`body_limit`](Gateway::body_limit); the application is not called |
/// | 500 | the application failed before its first byte |
/// | 501 | CONNECT; a transfer coding other than `chunked` |
/// | 503 | the pool's queue is full, or the pool has shut down |
/// | a broken-off message | the application failed after its first byte |
///
/// Cloning is cheap, and clones share everything.
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
/// fed by a task of its own, and one that is waited for is timed: for those, the runtime has to be tokio's, with its timers
/// enabled.
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
        Self {
            mount: Arc::new(Mount {
                application: Arc::new(application),
                executor: Arc::new(Pool::default()),
                settings: Settings::default(),
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

    /// The largest request body, in bytes. Default: 16 MiB.
    ///
    /// A larger declared length is answered with 413 before anything is read. A body that turns out larger fails to read
    /// with [`InputError::TooLarge`](crate::InputError::TooLarge).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.settings_mut().body_limit = bytes;
        self
    }

    /// How much of the request body is read before a thread is taken, in bytes. Default: 64 KiB.
    ///
    /// It is also how much is held in memory while the application reads the rest. Clients that wait for `100 Continue` send
    /// nothing before the application reads.
    #[must_use]
    pub fn read_ahead(mut self, bytes: usize) -> Self {
        self.settings_mut().read_ahead = bytes.max(1);
        self
    }

    /// How long to wait for the next bytes of a request body. Default: 30 seconds.
    ///
    /// Then reading fails with [`InputError::TimedOut`](crate::InputError::TimedOut), which is 408 if the application does
    /// not cope. The clock runs only while the client is waited for.
    #[must_use]
    pub fn body_idle(mut self, wait: Duration) -> Self {
        self.settings_mut().body_idle = wait;
        self
    }

    /// How long to wait for a request body in all, however the client spreads its bytes. Default: 10 minutes.
    ///
    /// Time in which there is no room for more, because the application does not read, does not count.
    #[must_use]
    pub fn body_deadline(mut self, wait: Duration) -> Self {
        self.settings_mut().body_deadline = wait;
        self
    }

    /// How much of the response is held for a client that reads slowly, in bytes, before the application has to wait.
    /// Default: 256 KiB. One chunk larger than that passes on its own.
    #[must_use]
    pub fn response_buffer(mut self, bytes: usize) -> Self {
        self.settings_mut().response_buffer = bytes.max(1);
        self
    }

    /// How long an application waits for a client that takes nothing of a full buffer. Default: 60 seconds.
    ///
    /// Then the client counts as gone: the write fails with [`Disconnected`](crate::Disconnected), and the message is broken
    /// off. So a client that stops reading cannot keep a thread.
    #[must_use]
    pub fn write_stall(mut self, wait: Duration) -> Self {
        self.settings_mut().write_stall = wait;
        self
    }

    /// `SERVER_NAME`. Default: the host of the request, else `localhost`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings_mut().server_name = Some(name.into()).filter(|name: &String| !name.is_empty());
        self
    }

    /// `SERVER_PORT`. Default: the port of the request's host, else 80 or 443.
    #[must_use]
    pub fn server_port(mut self, port: u16) -> Self {
        self.settings_mut().server_port = Some(port);
        self
    }

    /// Whether clients speak HTTPS, for `wsgi.url_scheme`. Default: no. The request itself is never believed.
    #[must_use]
    pub fn https(mut self, https: bool) -> Self {
        self.settings_mut().https = https;
        self
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    fn settings_mut(&mut self) -> &mut Settings {
        &mut Arc::make_mut(&mut self.mount).settings
    }

    /// Hands a request over whose body is read as far as it will be before its job runs.
    fn job(&self, parts: Parts, input: Input) -> (Job, crate::response::Inbox) {
        let buffer = if self.mount.executor.is_inline() { usize::MAX } else { self.mount.settings.response_buffer };
        let (messages, inbox) = pipe(buffer);
        let environ = Environ::new(parts, Arc::clone(&self.mount), input, messages.watch());
        (Job::new(Arc::clone(&self.mount), environ, messages), inbox)
    }

    /// Hands a job over; if there is no room at once, the future will see about it.
    fn submit(&self, parts: Parts, input: Input, upload: Option<Upload>) -> Pending {
        let (job, inbox) = self.job(parts, input);
        let admission = self.mount.executor.try_execute(job).err().map(|refused| {
            let mount = Arc::clone(&self.mount);
            let admission: Admission = Box::pin(async move { mount.executor.execute(refused.into_job()).await });
            admission
        });
        Pending { inbox, upload, admission }
    }

    /// Reads the body ahead, then hands the job over.
    async fn prepare<B>(self, parts: Parts, declared: Option<u64>, body: B) -> Pending
    where
        B: HttpBody + Send + 'static,
    {
        let inline = self.mount.executor.is_inline();
        let settings = &self.mount.settings;
        let grant = Grant {
            limit: settings.body_limit,
            buffer: if inline { usize::MAX } else { settings.read_ahead },
            patience: Patience::new(settings.body_idle, settings.body_deadline),
        };
        let (mut feed, input, upload) = Feed::new(body, declared, grant);
        // A client that waits for `100 Continue` gets it when the body is first polled, which is the application's to decide.
        let is_waited_for = !inline && expects_continue(&parts.headers);
        let progress = if is_waited_for { request::Progress::More } else { feed.read_ahead().await };
        let pending = self.submit(parts, input, Some(upload));
        if progress == request::Progress::More {
            tokio::spawn(feed.run().in_current_span());
        }
        pending
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
        if let Err(status) = request::screen(&parts) {
            return ResponseFuture::refused(&parts.method, status);
        }
        let declared = request::declared_length(&parts.headers);
        if declared.is_some_and(|length| length > self.mount.settings.body_limit) {
            return ResponseFuture::refused(&parts.method, StatusCode::PAYLOAD_TOO_LARGE);
        }
        let method = parts.method.clone();
        // A declared body that is not there is an incomplete one, and the feed says so.
        if body.is_end_stream() && declared.unwrap_or(0) == 0 {
            ResponseFuture::waiting(&method, self.submit(parts, Input::empty(), None))
        } else {
            ResponseFuture::preparing(&method, self.clone().prepare(parts, declared, body))
        }
    }
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
