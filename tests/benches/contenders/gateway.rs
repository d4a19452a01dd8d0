//! The gateway as in its README: applications on one pool, in a router, behind `gateway::serve`. Only the queue is
//! longer than a production setting, so that no request is refused.
mod work;

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use clap::Parser;
use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};

/// The options of the gateway, in addition to the common options.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    work: work::Options,
    /// The number of threads of the pool.
    #[arg(long, default_value_t = 64)]
    threads: usize,
    /// The number of drivers; 0 for a hop to the pool and back.
    #[arg(long)]
    drivers: Option<usize>,
    /// Serve with `axum::serve`.
    #[arg(long)]
    axum: bool,
}

static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("HTTP_X_HEADER_"));

#[tokio::main]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let address = options.work.apply();
    let pool = Pool::builder().threads(options.threads).queue(4096);
    let pool = options.drivers.map_or(pool.clone(), |drivers| pool.drivers(drivers)).build()?;
    let app = Router::new()
        .route("/async", get(|| async { work::HELLO }))
        .route("/release", get(release))
        .route_service("/hello", Gateway::new(hello).pool(&pool))
        .route("/handler", get(pool.handler(handler)))
        .route_service("/body", Gateway::new(sized).pool(&pool))
        .route_service("/echo", Gateway::new(echo).pool(&pool))
        .route_service("/stream", Gateway::new(streamed).pool(&pool))
        .route_service("/headers", Gateway::new(headers).pool(&pool))
        .route_service("/query", Gateway::new(query).pool(&pool))
        .route_service("/sleep", Gateway::new(sleep).pool(&pool))
        .route_service("/tenth", Gateway::new(tenth).pool(&pool))
        .route_service("/hundredth", Gateway::new(hundredth).pool(&pool))
        .route_service("/compute", Gateway::new(compute).pool(&pool))
        .route_service("/lock", Gateway::new(lock).pool(&pool))
        .route_service("/hold", Gateway::new(hold).pool(&pool))
        .route_service("/upload", Gateway::new(upload).pool(&pool).body_limit(u64::MAX))
        .route_service("/download", Gateway::new(download).pool(&pool));
    let listener = tokio::net::TcpListener::bind(address).await?;
    if options.axum {
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream: &mut tokio::net::TcpStream| {
            let _ = stream.set_nodelay(true);
        });
        return axum::serve(listener, app.into_make_service()).await;
    }
    gateway::serve(listener, app).pool(&pool).with_graceful_shutdown(tokio::signal::ctrl_c()).await
}

// ── the work of all contenders ───────────────────────────────────────────────────────────────────────────────────────

const TEXT: &[(&str, &str)] = &[("Content-Type", "text/plain; charset=utf-8")];

#[wsgi_app]
fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

/// The same as a blocking handler.
fn handler() -> &'static str {
    work::HELLO
}

#[wsgi_app]
fn sized(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[Bytes; 1]> {
    start_response("200 OK", TEXT)?;
    Ok([work::body(Some(environ.query()))])
}

#[wsgi_app]
fn echo(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[Bytes; 1]> {
    let body = environ.input().read_bytes()?;
    start_response("200 OK", TEXT)?;
    Ok([body])
}

#[wsgi_app]
fn streamed(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = Bytes>> {
    start_response("200 OK", TEXT)?;
    Ok((0..work::PIECES).map(|_| work::piece()))
}

#[wsgi_app]
fn headers(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", TEXT)?;
    let keys = &KEYS[..work::count(Some(environ.query()))];
    Ok([keys.iter().filter_map(|key| environ.get(key)).map(str::len).sum::<usize>().to_string()])
}

#[wsgi_app]
fn query(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", TEXT)?;
    Ok([work::row(Some(environ.query()))])
}

#[wsgi_app]
fn sleep(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    thread::sleep(work::PAUSE);
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

// ── work of which a part blocks ──────────────────────────────────────────────────────────────────────────────────────

/// Sleeps in every `nth` call.
fn sleep_sometimes(calls: &AtomicU64, nth: u64) {
    if calls.fetch_add(1, Ordering::Relaxed) % nth == nth - 1 {
        thread::sleep(work::PAUSE);
    }
}

/// Computes for this time.
fn compute_for(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::black_box(0);
    }
}

#[wsgi_app]
fn tenth(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    sleep_sometimes(&CALLS, 10);
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

#[wsgi_app]
fn hundredth(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    sleep_sometimes(&CALLS, 100);
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

/// 300 microseconds, or as many as the query says.
#[wsgi_app]
fn compute(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let time = environ.query().strip_prefix("us=").and_then(|time| time.parse().ok()).unwrap_or(300);
    compute_for(Duration::from_micros(time));
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

/// Computes for 20 microseconds under a lock that all calls share.
#[wsgi_app]
fn lock(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    static LOCK: Mutex<()> = Mutex::new(());
    let locked = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    compute_for(Duration::from_micros(20));
    drop(locked);
    start_response("200 OK", TEXT)?;
    Ok([work::HELLO])
}

// ── the work of the gateway only ─────────────────────────────────────────────────────────────────────────────────────

/// The number of times that the held requests have been released.
static RELEASES: Mutex<u64> = Mutex::new(0);
static RELEASED: Condvar = Condvar::new();

async fn release() -> &'static str {
    *RELEASES.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    RELEASED.notify_all();
    "released"
}

/// Occupies its thread until the next release. The guard of the mutex is dropped immediately after the wait, so that
/// the other held requests can continue.
#[wsgi_app]
fn hold(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let releases = RELEASES.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *releases;
    drop(RELEASED.wait_while(releases, |releases| *releases == before));
    start_response("200 OK", TEXT)?;
    Ok(["released"])
}

/// Counts the bytes of the request body.
#[wsgi_app]
fn upload(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let mut piece = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match environ.input().read(&mut piece)? {
            0 => break,
            more => length += more,
        }
    }
    start_response("200 OK", TEXT)?;
    Ok([length.to_string()])
}

/// Sends the requested number of pieces; each piece is allocated separately.
#[wsgi_app]
fn download(
    environ: &mut Environ,
    start_response: StartResponse<'_>,
) -> gateway::Result<impl Iterator<Item = Vec<u8>>> {
    let pieces = environ.query().strip_prefix("pieces=").and_then(|pieces| pieces.parse().ok()).unwrap_or(1);
    start_response("200 OK", TEXT)?;
    Ok((0..pieces).map(|_: u64| work::piece().to_vec()))
}
