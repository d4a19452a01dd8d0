//! The server of the soak: an application in Rust, Flask, Django and `WebSocket`s on one pool, which also drives the
//! connections. Each kind of request has a mount of its own, whose name is the label of its figures.
//!
//! `/state` returns the figures: those of the gateway, the number of tasks, and the number of messages.
//!
//! Threads: the runtime, the drivers and the threads of the pool.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{iter, thread};

use anyhow::Context as _;
use axum::Router;
use axum::extract::Query;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use clap::Parser;
use gateway::python::{self, Interpreter, Loader};
use gateway::serve::stop_signals;
use gateway::{Application, Chunks, Environ, Error, Pool, Result, StartResponse};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// The mounts of the application in Rust.
const MOUNTS: [&str; 14] = [
    "fast", "slow", "fails", "panics", "breaks", "large", "leaves", "stalls", "vanishes", "uploads", "cuts", "waits",
    "http2", "resets",
];

#[derive(Parser)]
struct Options {
    #[arg(long)]
    port: u16,
    /// The folder with the applications in Python.
    #[arg(long)]
    python_path: PathBuf,
    /// The virtual environment with Flask and Django.
    #[arg(long)]
    virtual_env: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let bounds = [0.001, 0.01, 0.1, 1.0, 10.0];
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &bounds)?
        .install_recorder()?;
    Interpreter::new().virtual_env(&options.virtual_env).start()?;
    // The limits are low, so that each of them is met often.
    let pool = python::pool()
        .name("soak")
        .threads(4)
        .drivers(2)
        .queue(16)
        .queue_timeout(Duration::from_millis(100))
        .build()?;
    let router = rust(&pool).merge(python(&options, &pool)?).merge(beside(&pool, metrics));
    let served = serve(&options, router, &pool);
    python::finish(Duration::from_secs(10));
    served
}

#[tokio::main]
async fn serve(options: &Options, router: Router, pool: &Pool) -> anyhow::Result<()> {
    let (drain, cut) = stop_signals()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    gateway::serve(listener, router)
        .pool(pool)
        .write_stall(Duration::from_secs(1))
        .grace(Duration::from_secs(10))
        .with_graceful_shutdown(drain)
        .with_immediate_shutdown(cut)
        .await?;
    Ok(())
}

// ── the application in Rust ──────────────────────────────────────────────────────────────────────────────────────────

fn rust(pool: &Pool) -> Router {
    let gateway =
        pool.mount(Work).body_limit(1 << 20).body_idle(Duration::from_secs(1)).write_stall(Duration::from_secs(1));
    let router = MOUNTS
        .into_iter()
        .fold(Router::new(), |router, mount| router.nest_service(&format!("/{mount}"), gateway.clone().name(mount)));
    // Its deadline passes before its job ends.
    let late = gateway.clone().name("late").deadline(Duration::from_millis(30));
    router.nest_service("/late", late).route("/refused", get(gateway.name("refused").handler(refused)))
}

/// The extractor takes a number; the clients send none.
fn refused(Query(pairs): Query<Vec<(String, u32)>>) -> String {
    pairs.len().to_string()
}

struct Work;

impl Application for Work {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        let number: usize = environ.query().parse().unwrap_or(0);
        let route = environ.path_info().to_owned();
        let start = || start_response("200 OK", &[("Content-Type", "text/plain")]);
        match route.as_str() {
            "/sleep" => thread::sleep(Duration::from_millis(number as u64)),
            "/fail" => return Err(Error::new("a failure, as asked")),
            "/panic" => panic!("a panic, as asked"),
            "/break" => {
                start()?;
                let pieces = iter::once_with(|| Ok("begun")).chain(iter::once_with(|| Err(Error::new("as asked"))));
                return Ok(Chunks::new(pieces));
            }
            "/bytes" => {
                start()?;
                return Ok(Chunks::new([vec![b'x'; number]]));
            }
            "/stream" => {
                start()?;
                return Ok(Chunks::new(iter::repeat_n([b'x'; 10_000].as_slice(), number / 10_000)));
            }
            "/file" => {
                let file = tempfile::tempfile()?;
                file.set_len(number as u64)?;
                start()?;
                return Ok(Chunks::file(file));
            }
            "/upload" => {
                let length = std::io::copy(environ.input(), &mut std::io::sink())?;
                start()?;
                return Ok(Chunks::new([length.to_string()]));
            }
            _ => {}
        }
        start()?;
        Ok(Chunks::new(["ok"]))
    }
}

// ── Flask and Django ─────────────────────────────────────────────────────────────────────────────────────────────────

fn python(options: &Options, pool: &Pool) -> anyhow::Result<Router> {
    let load = |name: &str| {
        let loader = Loader::new().path(&options.python_path).virtual_env(&options.virtual_env);
        loader.load(name).with_context(|| format!("cannot load {name}"))
    };
    let flask = python::mount(load("soak_flask:app")?, pool)?;
    let django = python::mount(load("soak_django:make()")?, pool)?;
    Ok(Router::new()
        .nest_service("/flask", flask.clone().name("flask"))
        .nest_service("/flask-leaves", flask.write_stall(Duration::from_secs(1)).name("flask-leaves"))
        .nest_service("/django", django.name("django")))
}

// ── beside the gateway ───────────────────────────────────────────────────────────────────────────────────────────────

fn beside(pool: &Pool, metrics: PrometheusHandle) -> Router {
    let messages = Arc::new(AtomicU64::new(0));
    let (counted, pool) = (Arc::clone(&messages), pool.clone());
    let state = move || {
        let (pool, metrics, messages) = (pool.clone(), metrics.clone(), messages.load(Ordering::Relaxed));
        async move {
            pool.publish_metrics();
            metrics.run_upkeep();
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            format!("{}\nsoak_tasks {tasks}\nsoak_messages_total {messages}\n", metrics.render())
        }
    };
    let socket = move |upgrade: WebSocketUpgrade| {
        let counted = Arc::clone(&counted);
        async move { upgrade.on_upgrade(move |socket| echo(socket, counted)) }
    };
    Router::new().route("/state", get(state)).route("/socket", get(socket))
}

/// Returns each message.
async fn echo(mut socket: WebSocket, counted: Arc<AtomicU64>) {
    while let Some(Ok(message)) = socket.recv().await {
        if !matches!(message, Message::Text(_)) {
            continue;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
