//! The latency of a request: one request at a time, and 64 at a time.
//!
//! `gateway inline` is the work of the gateway without the hop. The difference to `gateway` on threads is the hop,
//! which is printed below, and compares with `spawn_blocking` and with threads behind a channel, which do little else.
//! Under load a part of the work runs in parallel on the threads, so that the difference may be negative. `bare pool`
//! measures the same hop directly: the jobs are created before the measurement starts, one task hands over 64 of them,
//! and the measurement covers running the application and receiving its response.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use futures_util::future::BoxFuture;
use gateway::testing::Inline;
use gateway::{Environ, Gateway, Pool, ResponseFuture, StartResponse, wsgi_app};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{Empty, Full};
use tokio::runtime::Runtime;
use tower::Service as _;

use crate::hop_bare::Bare;
use crate::runtimes;
use crate::threads::{Crossbeam, Flume, JobSender, ask};

/// The number of concurrent requests.
pub(crate) const IN_FLIGHT: usize = 64;

#[wsgi_app]
pub(crate) fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(["Hello, world!"])
}

/// The response of the alternatives without a gateway.
pub(crate) struct Answer(#[expect(dead_code, reason = "made, handed over and dropped")] Response<Full<Bytes>>);

impl Answer {
    pub(crate) fn hello() -> Self {
        let mut response = Response::new(Full::from("Hello, world!"));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Self(response)
    }
}

/// A pool that refuses no request.
pub(crate) fn pool(threads: usize) -> Pool {
    let pool = Pool::builder().threads(threads).queue(4096).queue_timeout(Duration::MAX).build();
    pool.expect("a pool")
}

pub(crate) fn request() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
}

pub(crate) fn measure(criterion: &mut Criterion) {
    for (flavour, runtime) in runtimes() {
        for in_flight in [1, IN_FLIGHT] {
            let mut group = criterion.benchmark_group(format!("hop/{flavour}/{in_flight} in flight"));
            group.throughput(Throughput::Elements(in_flight as u64));
            let mut clients = Clients { group, runtime: &runtime, in_flight };
            let inline = clients.measure("gateway inline", through(Gateway::new(hello).executor(Inline::new())));
            for threads in [1, 2, 64] {
                let gateway = Gateway::new(hello).pool(&pool(threads));
                let whole = clients.measure(&format!("gateway, {threads} threads"), through(gateway));
                if let (Some(whole), Some(inline)) = (whole, inline) {
                    println!("{:24}hop:    {:+.3} µs for each request, at their fastest", "", whole - inline);
                }
            }
            Bare::new(pool(2)).measure(&mut clients.group, &runtime, in_flight, "bare pool, 2 threads");
            clients.measure("spawn_blocking", || async {
                tokio::task::spawn_blocking(Answer::hello).await.expect("no panic")
            });
            for threads in [2, 64] {
                clients.measure(&format!("crossbeam, {threads} threads"), over::<Crossbeam>(threads));
                clients.measure(&format!("flume, {threads} threads"), over::<Flume>(threads));
            }
        }
    }
}

/// Sends a request to a gateway.
fn through(gateway: Gateway) -> impl Fn() -> ResponseFuture + Clone + Send + 'static {
    move || gateway.clone().call(request())
}

/// Sends requests to threads behind a channel.
fn over<L: JobSender>(threads: usize) -> impl Fn() -> BoxFuture<'static, Answer> + Clone + Send + 'static {
    let line = L::with_threads(threads);
    move || Box::pin(ask(line.clone()))
}

/// The clients: tasks of the runtime, like the connections of a server.
pub(crate) struct Clients<'c> {
    pub(crate) group: BenchmarkGroup<'c, WallTime>,
    pub(crate) runtime: &'c Runtime,
    pub(crate) in_flight: usize,
}

impl Clients<'_> {
    /// Measures one request of each client; `send` sends it. Returns the minimum time of a request in microseconds, or
    /// `None` if the benchmark is not selected.
    pub(crate) fn measure<S, F>(&mut self, name: &str, send: S) -> Option<f64>
    where
        S: Fn() -> F + Clone + Send + 'static,
        F: Future<Output: Send> + Send + 'static,
    {
        let (runtime, in_flight) = (self.runtime, self.in_flight);
        let mut fastest = None;
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let begun = Instant::now();
                let clients: Vec<_> = (0..in_flight).map(|_| runtime.spawn(client(send.clone(), rounds))).collect();
                runtime.block_on(async {
                    for client in clients {
                        client.await.expect("the client does not panic");
                    }
                });
                let took = begun.elapsed();
                let each = took.as_secs_f64() * 1e6 / (rounds as f64 * in_flight as f64);
                fastest = Some(fastest.map_or(each, |fastest: f64| fastest.min(each)));
                took
            });
        });
        fastest
    }
}

async fn client<F>(send: impl Fn() -> F, rounds: u64)
where
    F: Future,
{
    for _ in 0..rounds {
        black_box(send().await);
        // Yield, as a client on a socket would, so that the other tasks run.
        tokio::task::yield_now().await;
    }
}
