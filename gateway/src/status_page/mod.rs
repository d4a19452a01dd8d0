//! The status page of the pools.
//!
//! Threads: runtime.

mod format;
mod html;
mod json;
mod text;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY};
use http::{Method, Request, Response, StatusCode};
use tower_service::Service;

use self::format::Format;
use crate::observe::mount_counts::{self, MountFigures};
use crate::plain_text::plain;
use crate::{Body, Pool, RunningJob, Stats};

/// A service that shows the figures of the pools and the requests that run now: for people, with a browser, or
/// with `curl` and `grep`.
///
/// It answers GET and HEAD at once, on the runtime, even if the pools are busy; any other method gets 405. Responses
/// are `no-store`. `Accept: text/html`, as browsers send it, gets a page without scripts, `Accept: application/json`
/// gets JSON, and any other request gets text; `?format=html`, `json` or `text` goes before `Accept`. The page and JSON
/// also have the requests and errors of each mount that has had a job, the uptime and the version of this crate.
///
/// ```text
/// pool  figure           value  unit
/// shop  state            ready
/// shop  threads              8  of 64 threads
/// shop  busy                 2  threads
/// shop  idle                 6  threads
/// shop  reserved             4  threads
/// shop  stuck                0  threads
/// shop  orphaned             1  threads
/// shop  queued               0  of 256 places in the queue
/// shop  service_time     2.312  ms, moving average
/// shop  completed        41872  requests
/// shop  shed                 3  requests
/// shop  expired              0  requests
/// shop  cancelled            0  requests
/// shop  would_have_shed      0  requests
/// shop  driven               0  requests
/// shop  held_drivers         0  threads
///
/// pool  mount    seconds  thread  client
/// shop  reports   12.034  shop-3  gone
/// shop  orders     0.107  shop-1  waits
/// ```
///
/// The figures are those of [`Stats`], by the same names; the state is `ready`, or [why the pool should get no more
/// requests](crate::NotReady). Each line begins with the name of its pool, and each pool has the same lines in the same
/// order. Below are the running requests of all pools, the longest-running first: `client` is `gone` if the client has
/// disconnected. A `service_time` of `-` means that no job has ended yet. The figures of one pool are from one moment.
///
/// An error of a mount is a request with the [outcome](crate::Gateway#the-log) `error`, `aborted` or `deadline`. The
/// uptime is that of the page, and without the feature `metrics` requests are counted once there is a page: make it
/// when the program starts.
///
/// # Where to mount it
///
/// Mount it on a route that only operators reach, such as one on an internal listener: it shows the running requests,
/// and the names of mounts and threads. It shows nothing that a client has sent.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use gateway::{Gateway, Pool, StatusPage};
///
/// # fn main() -> std::io::Result<()> {
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// let pool = Pool::builder().name("shop").build()?;
/// let public: Router = Router::new().fallback_service(Gateway::new(app).pool(&pool));
/// // For a listener of its own, such as 127.0.0.1:8001.
/// let internal: Router = Router::new().route_service("/status", StatusPage::new().pool(&pool));
/// # drop((public, internal));
/// # Ok(())
/// # }
/// ```
///
/// # Threads
///
/// Runs on the runtime, and holds each pool's lock for a moment. It takes no thread of a pool.
#[derive(Debug, Clone)]
pub struct StatusPage {
    pools: Vec<Pool>,
    since: Instant,
}

/// The content of the page.
struct Report {
    uptime: Duration,
    pools: Vec<PoolReport>,
}

struct PoolReport {
    name: String,
    stats: Stats,
    mounts: Vec<MountFigures>,
    running: Vec<RunningJob>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `ready`, or why the pool should get no more requests.
fn state(stats: &Stats) -> String {
    stats.unready().map_or_else(|| "ready".to_owned(), |reason| reason.to_string())
}

/// Whether the client waits for its response.
fn client(job: &RunningJob) -> &'static str {
    if job.is_orphaned { "gone" } else { "waits" }
}

impl Default for StatusPage {
    fn default() -> Self {
        mount_counts::show();
        Self { pools: Vec::new(), since: Instant::now() }
    }
}

impl StatusPage {
    /// A page without pools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds this pool, below the earlier ones. For a [share](Pool::share), the figures count the threads of the whole
    /// pool; its `state` is whether there is room for the share's own requests.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// The current page as text: for a log, or a handler of one's own.
    pub fn text(&self) -> String {
        text::render(&self.report())
    }

    fn report(&self) -> Report {
        let pools = self.pools.iter().map(|pool| {
            let (stats, running) = pool.snapshot();
            PoolReport { name: pool.name().to_owned(), stats, mounts: pool.mounts(), running }
        });
        Report { uptime: self.since.elapsed(), pools: pools.collect() }
    }
}

impl<B> Service<Request<B>> for StatusPage {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.method();
        if method == Method::GET || method == Method::HEAD {
            let format = Format::of(request.uri(), request.headers());
            let report = self.report();
            let text = match format {
                Format::Text => text::render(&report),
                Format::Html => html::render(&report),
                Format::Json => json::render(&report),
            };
            let mut response = plain(method, StatusCode::OK, text);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            headers.insert(VARY, HeaderValue::from_static("accept"));
            let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
            headers.insert(CONTENT_SECURITY_POLICY, policy);
            return ready(Ok(response));
        }
        let mut response = plain(method, StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        ready(Ok(response))
    }
}
