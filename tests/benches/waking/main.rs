//! What waking threads adaptively is worth: the same work on pools that differ in whom they wake, driven without
//! sockets.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench waking               # all kinds of work
//! cargo bench -p gateway-tests --bench waking -- hello lock # two of them
//! ```
//!
//! Each line is the median of the rounds, in which the pools take turns. `requests/s` is beside that of the first pool.
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

/// Measures whom to wake.
#[derive(Parser)]
struct Options {
    /// The kinds of work; all, if none is named.
    work: Vec<String>,
    /// How often each pool gets its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn takes.
    #[arg(long, default_value_t = 1500)]
    turn_ms: u64,
    /// What `cargo bench` says. Without it, nothing is measured.
    #[arg(long)]
    bench: bool,
}

/// Who runs the work.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A queue and a condition variable.
    Plain(usize),
    /// A limit of awake threads, of which those do not count whose job is older than two milliseconds.
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
                // As one would: it is only said where it is not the number of processors.
                let pool = if parallelism == 1 { pool.parallelism(1) } else { pool };
                gateway.pool(&pool.build().expect("a pool"))
            }
        }
    }
}

/// What one turn has shown.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    /// Microseconds of processor time for each request, those of the client included.
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
    // The clients are gone, and what they have in line is never begun.
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

/// Sends one request after the other.
async fn client(mut gateway: Gateway, latencies: Arc<Mutex<Vec<Duration>>>, counts: Arc<AtomicBool>) {
    loop {
        let request = http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let begun = Instant::now();
        let response = gateway.call(request).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), 200);
        if counts.load(Ordering::Relaxed) {
            latencies.lock().expect("no client has failed").push(begun.elapsed());
        }
        // As a client on a socket would, it lets others have their turn.
        tokio::task::yield_now().await;
    }
}

/// What the process has used of its processors.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
