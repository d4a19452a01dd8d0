//! The effect of adaptive wakeups: the same work on pools with different wakeup policies, without sockets.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench waking               # all kinds of work
//! cargo bench -p gateway-tests --bench waking -- hello lock # two kinds of work
//! ```
//!
//! Each line shows the median of the rounds, in which the pools run in turn. `requests/s` is shown relative to the
//! first pool.
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

mod pools;
mod work;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use gateway::{Gateway, Pool};
use tower::Service as _;

use crate::pools::{ByAge, Plain};
use crate::work::Work;

/// Measures wakeup policies.
#[derive(Parser)]
struct Options {
    /// The kinds of work; all if none is named.
    work: Vec<String>,
    /// The number of turns of each pool.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The duration of a turn, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    turn_ms: u64,
    /// `cargo bench` passes this option. Without it, nothing is measured.
    #[arg(long)]
    bench: bool,
}

/// The pool that runs the work.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A mutex, a queue and a condition variable.
    Plain(usize),
    /// A limit of running threads; threads whose job is older than two milliseconds do not count.
    ByAge(usize),
    Gateway(usize),
}

impl Kind {
    const ALL: [Self; 5] = [Self::Plain(1), Self::Plain(64), Self::ByAge(64), Self::Gateway(1), Self::Gateway(64)];

    fn name(self) -> String {
        match self {
            Self::Plain(threads) => format!("plain queue, {threads}"),
            Self::ByAge(threads) => format!("limit by age, {threads}"),
            Self::Gateway(threads) => format!("gateway, {threads}"),
        }
    }

    fn put_under(self, gateway: Gateway, parallelism: usize) -> Gateway {
        match self {
            Self::Plain(threads) => gateway.executor(Plain::new(threads)),
            Self::ByAge(threads) => gateway.executor(ByAge::new(threads, parallelism)),
            Self::Gateway(threads) => {
                let pool = Pool::builder().threads(threads).queue(4096).queue_timeout(Duration::MAX);
                // As in a typical program, set `parallelism` only if it differs from the number of CPUs.
                let pool = if parallelism == 1 { pool.parallelism(1) } else { pool };
                gateway.pool(&pool.build().expect("a pool"))
            }
        }
    }
}

/// The figures of one turn.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    /// CPU time per request in microseconds, including that of the clients.
    cpu: f64,
    median: Duration,
    p99: Duration,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        println!("run me with `cargo bench -p gateway-tests --bench waking`");
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Work> = work::ALL
        .iter()
        .filter(|work| options.work.is_empty() || options.work.iter().any(|name| name == work.name))
        .collect();
    if chosen.is_empty() {
        eprintln!("there is {}", work::ALL.map(|work| work.name).join(", "));
        return ExitCode::from(2);
    }
    for work in chosen {
        println!("\n{}: {} clients, {}\n", work.name, work.clients, work.about);
        println!("| pool | requests/s | of the first | CPU per request | p50 | p99 |\n|---|---:|---:|---:|---:|---:|");
        let mut turns = vec![Vec::new(); Kind::ALL.len()];
        for _ in 0..options.rounds {
            for (kind, turns) in Kind::ALL.into_iter().zip(&mut turns) {
                turns.push(turn(work, kind, Duration::from_millis(options.turn_ms)));
            }
        }
        let first = median(&turns[0]).per_second;
        for (kind, turns) in Kind::ALL.into_iter().zip(&turns) {
            let turn = median(turns);
            println!(
                "| {} | {:.0} | {:.2} | {:.1} µs | {:.2?} | {:.2?} |",
                kind.name(),
                turn.per_second,
                turn.per_second / first,
                turn.cpu,
                turn.median,
                turn.p99,
            );
        }
    }
    ExitCode::SUCCESS
}

/// The turn with the median throughput.
fn median(turns: &[Turn]) -> Turn {
    let mut turns = turns.to_vec();
    turns.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    turns[turns.len() / 2]
}

fn turn(work: &Work, kind: Kind, time: Duration) -> Turn {
    let gateway = kind.put_under(Gateway::new((work.application)()), work.parallelism);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let counts = Arc::new(AtomicBool::new(false));
    for _ in 0..work.clients {
        runtime.spawn(client(gateway.clone(), Arc::clone(&latencies), Arc::clone(&counts)));
    }
    std::thread::sleep(time / 4);
    let (begun, cpu) = (Instant::now(), cpu_time());
    counts.store(true, Ordering::Relaxed);
    std::thread::sleep(time);
    counts.store(false, Ordering::Relaxed);
    let (took, cpu) = (begun.elapsed(), cpu_time() - cpu);
    // Drop the clients with the runtime; the jobs that they have in the queue never start.
    drop(runtime);
    let mut latencies = std::mem::take(&mut *latencies.lock().expect("no client has failed"));
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    Turn {
        per_second: latencies.len() as f64 / took.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / latencies.len().max(1) as f64,
        median: at(0.5),
        p99: at(0.99),
    }
}

/// Sends requests one after another.
async fn client(mut gateway: Gateway, latencies: Arc<Mutex<Vec<Duration>>>, counts: Arc<AtomicBool>) {
    loop {
        let request = http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let begun = Instant::now();
        let response = gateway.call(request).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), 200);
        if counts.load(Ordering::Relaxed) {
            latencies.lock().expect("no client has failed").push(begun.elapsed());
        }
        // Yield, as a client on a socket would, so that the other tasks run.
        tokio::task::yield_now().await;
    }
}

/// The CPU time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
