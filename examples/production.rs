//! A production server: limits, logs, metrics, and a graceful shutdown.
//!
//! ```sh
//! cargo run --release --example production                            # for the public on :8000, for operators on :8001
//! curl 'http://127.0.0.1:8000/reports?100000' | tail -1               # streams
//! curl -T big.iso http://127.0.0.1:8000/uploads                       # spooled before it takes a thread; 413 beyond 64 MiB
//! curl -d 'tea' http://127.0.0.1:8000/orders                          # has threads of its own
//! curl http://127.0.0.1:8001/ready                                    # for the load balancer
//! curl http://127.0.0.1:8001/metrics                                  # for Prometheus
//! curl http://127.0.0.1:8001/status                                   # for people: the pool, and what runs
//! kill -TERM $(pgrep -x production)                                   # /ready turns red; then it drains, and says what was left
//! kill -TERM $(pgrep -x production)                                   # the second: it ends at once, whatever still runs
//! ```
//!
//! Nothing but the three applications is on the public listener, and each of them takes one method. `--help` lists the
//! flags.
//!
//! Under systemd the server uses the socket of its `.socket` unit; `systemd-socket-activate -l 8000
//! target/release/examples/production` does the same by hand.

mod log;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, get_service, post, put};
use clap::Parser;
use gateway::serve::{InheritedSockets, Listener, ShutdownReport, stop_signals};
use gateway::{
    Environ, Pool, Readiness, RunningJob, Share, Spool, StartResponse, StatusPage, TrustedProxies, wsgi_app,
};
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, UnixListener};

/// A production server.
#[derive(Debug, Parser)]
struct Options {
    /// The address to listen on, if no socket is inherited.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// The address for the load balancer's probe, Prometheus and operators.
    #[arg(long, default_value = "127.0.0.1:8001")]
    internal: SocketAddr,
    /// A Unix socket to listen on instead. The file of an earlier process is removed.
    #[arg(long)]
    unix: Option<PathBuf>,
    /// A network of trusted proxies; may be given more than once.
    #[arg(long)]
    proxy: Vec<String>,
    /// The maximum number of threads.
    #[arg(long, default_value_t = 64)]
    threads: usize,
    /// For how many seconds to report unready, while serving, before draining. More than the load balancer's period.
    #[arg(long, default_value_t = 5)]
    notice: u64,
    /// How many seconds open requests may take at a shutdown.
    #[arg(long, default_value_t = 30)]
    grace: u64,
    /// After how many seconds a running request is logged as slow.
    #[arg(long, default_value_t = 10)]
    slow: u64,
}

fn main() -> anyhow::Result<()> {
    // Before there are threads, because it changes the environment.
    let inherited = InheritedSockets::from_env();
    let options = Options::parse();
    let _log = log::Log::start("info", io::stdout());
    let metrics = exporter().install_recorder()?;
    tokio::runtime::Runtime::new()?.block_on(run(options, inherited, metrics))
}

/// Listens on the inherited socket, the Unix socket or the address.
async fn run(options: Options, mut inherited: InheritedSockets, metrics: PrometheusHandle) -> anyhow::Result<()> {
    // Before it listens: a signal without a handler would end the process together with the connections in its backlog.
    let stop = stop_signals()?;
    let pool = Pool::builder().name("shop").threads(options.threads).stuck_after(Duration::from_secs(60)).build()?;
    let app = app(&pool)?.layer(proxies(&options.proxy)?);
    let listener =
        TcpListener::bind(options.internal).await.with_context(|| format!("cannot listen on {}", options.internal))?;
    tracing::info!("probe, metrics and status on http://{}", listener.local_addr()?);
    // It serves until the process ends, so that operators see the drain.
    tokio::spawn(gateway::serve(listener, internal(&pool, metrics.clone())).run());
    let watch = tokio::spawn(watch(pool.clone(), metrics, Duration::from_secs(options.slow)));
    let report = if !inherited.is_empty() {
        tracing::info!("listening on an inherited socket");
        match inherited.tcp(0) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                serve(inherited.unix(0)?, app, &pool, stop, &options).await?
            }
            listener => serve(listener?, app, &pool, stop, &options).await?,
        }
    } else if let Some(path) = &options.unix {
        remove(path)?;
        let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        tracing::info!("listening on {}", path.display());
        let report = serve(listener, app, &pool, stop, &options).await?;
        remove(path)?;
        report
    } else {
        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
        tracing::info!("listening on http://{}", listener.local_addr()?);
        serve(listener, app, &pool, stop, &options).await?
    };
    watch.abort();
    if report.is_clean() {
        tracing::info!("stopped: {report}");
    } else {
        tracing::warn!("stopped: {report}");
    }
    Ok(())
}

async fn serve(
    listener: impl Listener,
    app: Router,
    pool: &Pool,
    (first, second): (impl Future<Output = ()> + Send + 'static, impl Future<Output = ()> + Send + 'static),
    options: &Options,
) -> io::Result<ShutdownReport> {
    gateway::serve(listener, app)
        .pool(pool)
        .header_timeout(Duration::from_secs(10))
        .max_connections(10_000)
        .grace(Duration::from_secs(options.grace))
        .with_graceful_shutdown(notice(pool.clone(), first, Duration::from_secs(options.notice)))
        // The second signal ends the notice and the grace.
        .with_immediate_shutdown(second)
        .run()
        .await
}

/// The routes of the public.
fn app(pool: &Pool) -> io::Result<Router> {
    let spool = Spool::builder().memory(256 * 1024).total(4 << 30).build()?;
    let sure = pool.share(Share::new().reserved_threads(4))?;
    let some = pool.share(Share::new().max_in_flight(32))?;
    let seconds = Duration::from_secs;
    let selling = sure.mount(orders).body_limit(64 * 1024).deadline(seconds(10));
    let reporting = some.mount(reports).body_limit(0).write_stall(seconds(20));
    let storing = some.mount(uploads).body_limit(64 << 20).spool(&spool).deadline(seconds(30));
    Ok(Router::new()
        // Metrics and logs use these names of the mounts; the default is the name of the fn.
        .route("/orders", post(selling.name("orders")))
        .route("/reports", get(reporting.name("reports")))
        .route("/uploads", put(storing.name("uploads"))))
}

/// The routes of the load balancer, Prometheus and operators. They take no thread.
fn internal(pool: &Pool, metrics: PrometheusHandle) -> Router {
    let figures = pool.clone();
    Router::new()
        .route("/ready", get_service(Readiness::new().pool(pool)))
        .route("/status", get_service(StatusPage::new().pool(pool)))
        .route("/metrics", get(move || async move { scrape(&figures, &metrics) }))
}

/// Accepts an order.
#[wsgi_app]
fn orders(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let order = String::from_utf8(environ.input().read_all()?)?;
    start_response("201 Created", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok([format!("{} for {}\n", order, environ.get("REMOTE_ADDR").unwrap_or("somebody"))])
}

/// The requested number of lines, each made when the buffer has space for it.
#[wsgi_app]
fn reports(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = String>> {
    let lines: u32 = environ.query().parse().unwrap_or(1000);
    start_response("200 OK", &[("Content-Type", "text/csv")])?;
    Ok((1..=lines).map(|line| format!("{line},{}\n", u64::from(line) * u64::from(line))))
}

/// Counts the bytes of the body.
#[wsgi_app]
fn uploads(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let bytes = io::copy(&mut environ.input(), &mut io::sink())?;
    // In the span of the request, like all events on its thread.
    tracing::info!(bytes, "uploaded");
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([format!("{bytes} bytes\n")])
}

/// Trusts the proxies on a Unix socket, which only they may open, and those in the given networks.
fn proxies(networks: &[String]) -> io::Result<TrustedProxies> {
    let proxies = TrustedProxies::new(networks.iter().map(String::as_str))?;
    Ok(proxies.unix_sockets().x_forwarded_for().x_forwarded_proto())
}

/// Histogram buckets, in seconds.
fn exporter() -> PrometheusBuilder {
    let bounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &bounds);
    builder.expect("there are bounds")
}

fn scrape(pool: &Pool, metrics: &PrometheusHandle) -> ([(http::HeaderName, &'static str); 1], String) {
    pool.publish_metrics();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

/// Periodically logs slow requests, and compacts the recorded samples between scrapes.
async fn watch(pool: Pool, metrics: PrometheusHandle, slow: Duration) {
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
        if let Some(line) = status_line(&pool.running(), slow) {
            tracing::warn!("{line}");
        }
    }
}

/// One line about slow running requests, the oldest first. Each access record has the details.
fn status_line(running: &[RunningJob], slow: Duration) -> Option<String> {
    let slow = running.iter().filter(|job| job.age >= slow).map(|job| {
        let left = if job.is_orphaned { ", client gone" } else { "" };
        format!("{} on {} for {:.0?}{left}", job.mount, job.thread, job.age)
    });
    let slow: Vec<String> = slow.collect();
    (!slow.is_empty()).then(|| format!("{} slow of {} running: {}", slow.len(), running.len(), slow.join("; ")))
}

/// Resolves when the server should shut down. Before that it reports unready for `notice`, so that load balancers stop
/// sending requests.
async fn notice(pool: Pool, signal: impl Future<Output = ()>, notice: Duration) {
    signal.await;
    pool.begin_drain();
    tracing::info!(?notice, "about to stop");
    tokio::time::sleep(notice).await;
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::OnceLock;

    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    /// The pool, and the routes of both listeners.
    fn shop() -> (Pool, Router, Router) {
        // A process has one recorder.
        static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
        let metrics = METRICS.get_or_init(|| exporter().install_recorder().unwrap());
        let pool = Pool::builder().name("shop").threads(8).build().unwrap();
        let (app, internal) = (app(&pool).unwrap(), internal(&pool, metrics.clone()));
        (pool, app, internal)
    }

    async fn send(app: &Router, request: http::request::Builder, body: &'static str) -> (u16, String) {
        let response = app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_turns_red_before_the_server_stops() {
        let (pool, app, internal) = shop();
        assert_eq!(send(&internal, Request::get("/ready"), "").await, (200, "ready\n".to_owned()));
        let mut stopping = pin!(notice(pool.clone(), async {}, Duration::from_secs(3600)));
        tokio::select! {
            biased;
            () = &mut stopping => panic!("nobody was told"),
            () = async {} => {}
        }
        assert_eq!(send(&internal, Request::get("/ready"), "").await, (503, "shop: draining\n".to_owned()));
        assert_eq!(send(&app, Request::post("/orders"), "tea").await, (201, "tea for somebody\n".to_owned()));
    }

    #[tokio::test]
    async fn what_was_served_is_in_the_metrics() {
        let (_pool, app, internal) = shop();
        assert_eq!(send(&app, Request::get("/reports?2"), "").await, (200, "1,1\n2,4\n".to_owned()));
        let (status, metrics) = send(&internal, Request::get("/metrics"), "").await;
        assert_eq!(status, 200);
        for line in [
            "gateway_requests_total{mount=\"reports\",route=\"/reports\",outcome=\"complete\",status=\"2xx\"} 1\n",
            "gateway_run_seconds_count{mount=\"reports\",route=\"/reports\"} 1\n",
            "gateway_pool_threads_reserved{pool=\"shop\"} 4\n",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
    }

    #[tokio::test]
    async fn the_status_page_shows_the_pool() {
        let (_pool, _app, internal) = shop();
        let (status, page) = send(&internal, Request::get("/status"), "").await;
        assert_eq!(status, 200);
        for line in ["shop  state            ready\n", "shop  reserved             4  threads\n"] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }

    #[tokio::test]
    async fn what_is_over_the_limits_is_refused() {
        let (_pool, app, _) = shop();
        let huge = (64 << 20) + 1;
        let request = Request::put("/uploads").header("content-length", huge);
        assert_eq!(send(&app, request, "").await.0, 413);
        assert_eq!(send(&app, Request::put("/uploads"), "small enough").await, (200, "12 bytes\n".to_owned()));
    }

    #[tokio::test]
    async fn each_listener_has_its_own_routes_and_each_route_its_method() {
        let (_pool, app, internal) = shop();
        for path in ["/ready", "/status", "/metrics"] {
            assert_eq!(send(&app, Request::get(path), "").await.0, 404, "{path}");
            assert_eq!(send(&internal, Request::post(path), "").await.0, 405, "{path}");
        }
        for request in [Request::get("/orders"), Request::post("/reports"), Request::delete("/uploads")] {
            assert_eq!(send(&app, request, "").await.0, 405);
        }
        assert_eq!(send(&internal, Request::post("/orders"), "tea").await.0, 404);
    }

    #[test]
    fn nothing_is_said_while_nothing_is_slow() {
        let (pool, ..) = shop();
        assert_eq!(status_line(&pool.running(), Duration::ZERO), None);
    }
}
