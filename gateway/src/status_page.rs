//! The status page of the pools.
//!
//! Threads: runtime.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::plain_text::plain;
use crate::{Body, Pool, RunningJob, Stats};

/// A service that shows the figures of the pools and the requests that run now: for people, with `curl` and `grep`.
///
/// It answers GET and HEAD at once, on the runtime, even if the pools are busy, with plain text; any other method gets
/// 405. Responses are `no-store`.
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
/// Runs on the runtime, and holds each pool's lock for a moment. No pool thread takes part.
#[derive(Debug, Clone, Default)]
pub struct StatusPage {
    pools: Vec<Pool>,
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

    /// The current page: for a log, or a handler of one's own.
    pub fn text(&self) -> String {
        let mut figures = vec![["pool", "figure", "value", "unit"].map(str::to_owned)];
        let mut jobs = Vec::new();
        for pool in &self.pools {
            let (stats, running) = pool.snapshot();
            figures.extend(
                lines(&stats).map(|(name, value, unit)| [pool.name().to_owned(), name.to_owned(), value, unit]),
            );
            jobs.extend(running.into_iter().map(|job| (pool.name(), job)));
        }
        jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.age));
        let mut running = vec![["pool", "mount", "seconds", "thread", "client"].map(str::to_owned)];
        running.extend(jobs.into_iter().map(|(pool, job)| line(pool, job)));
        format!("{}\n{}", table(&figures), table(&running))
    }
}

/// The figures of a pool, each as name, value and unit.
fn lines(stats: &Stats) -> [(&'static str, String, String); 14] {
    let state = stats.unready().map_or_else(|| "ready".to_owned(), |reason| reason.to_string());
    // Until the first job has ended, `service_time` is an initial guess.
    let service_time = match stats.completed {
        0 => "-".to_owned(),
        _ => format!("{:.3}", stats.service_time.as_secs_f64() * 1e3),
    };
    let threads = |name, count: usize| (name, count.to_string(), "threads".to_owned());
    let requests = |name, count: u64| (name, count.to_string(), "requests".to_owned());
    [
        ("state", state, String::new()),
        ("threads", stats.threads.to_string(), format!("of {} threads", stats.max_threads)),
        threads("busy", stats.busy),
        threads("idle", stats.idle),
        threads("reserved", stats.reserved),
        threads("stuck", stats.stuck),
        threads("orphaned", stats.orphaned),
        ("queued", stats.queued.to_string(), format!("of {} places in the queue", stats.queue_limit)),
        ("service_time", service_time, "ms, moving average".to_owned()),
        requests("completed", stats.completed),
        requests("shed", stats.shed),
        requests("expired", stats.expired),
        requests("cancelled", stats.cancelled),
        requests("would_have_shed", stats.would_have_shed),
    ]
}

fn line(pool: &str, job: RunningJob) -> [String; 5] {
    let client = if job.is_orphaned { "gone" } else { "waits" };
    [pool.to_owned(), job.mount, format!("{:.3}", job.age.as_secs_f64()), job.thread, client.to_owned()]
}

/// The column of numbers, which is right-aligned.
const NUMBERS: usize = 2;

/// Rows as lines, with aligned columns.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let start = text.len();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing to a string cannot fail.
            let _ = match column {
                NUMBERS => write!(text, "{gap}{cell:>width$}"),
                _ => write!(text, "{gap}{cell:<width$}"),
            };
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
    text
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
            return ready(Ok(plain(method, StatusCode::OK, self.text())));
        }
        let mut response = plain(method, StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        ready(Ok(response))
    }
}
