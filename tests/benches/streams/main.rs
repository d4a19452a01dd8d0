//! Sends the same raw streams to the gateway, to the gateway behind nginx, and to other servers, and compares the
//! number of responses, the requests that the applications receive, and whether the connections remain usable.
//!
//! A stream consists of one to four requests, most of them mutated, split at random positions. A reference parser that
//! shares no code with any server (`reference.rs`) reads the stream by RFC 9112; each response is compared with the
//! reference and with the other servers. The exit code is 1 if the gateway misses a limit, and 2 if the run fails.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench streams                                # 12,000 streams, all servers
//! cargo bench -p gateway-tests --bench streams -- --quick --without nginx     # 1,000 streams
//! cargo bench -p gateway-tests --bench streams -- --only 4711                 # one stream with all results
//! ```

mod answer;
mod application;
#[path = "../common/dice.rs"]
mod dice;
mod draft;
mod feature;
mod lines;
mod mutation;
#[path = "../common/nginx.rs"]
mod nginx;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod process;
mod reference;
mod report;
mod server;
mod session;
mod stream;
mod tolerated;
#[path = "../common/venv.rs"]
mod venv;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::report::Row;
use crate::server::{Lab, Running, Server};
use crate::session::Session;
use crate::stream::Stream;
use crate::verdict::{Verdict, judge};

/// Compares how servers parse raw streams.
#[derive(Parser)]
struct Options {
    /// The number of streams.
    #[arg(long, default_value_t = 12_000)]
    count: u64,
    /// Use 1,000 streams only.
    #[arg(long)]
    quick: bool,
    /// The seed from which the streams are generated.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Servers to leave out.
    #[arg(long, value_enum, num_args = 1..)]
    without: Vec<Server>,
    /// Print one stream and all results for it.
    #[arg(long)]
    only: Option<u64>,
    /// Serve the application; this program starts itself with this option.
    #[arg(long, hide = true)]
    serve: Option<u16>,
    /// `cargo bench` passes this option; `cargo test --all-targets` does not, and must not run the comparison.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The maximum number of concurrent connections to a server.
const AT_ONCE: usize = 32;

/// The timeout of a stream.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let options = Options::parse();
    if options.serve.is_none() && !options.bench {
        println!("nothing is compared but by cargo bench");
        return ExitCode::SUCCESS;
    }
    process::exit_code(run(&options))
}

/// Returns the number of missed limits.
fn run(options: &Options) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(port) = options.serve {
        tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(std::io::stderr).init();
        runtime.block_on(application::serve(port))?;
        return Ok(0);
    }
    process::raise_file_limit(0)?;
    let wanted = |server: &Server| *server == Server::Gateway || !options.without.contains(server);
    let servers: Vec<Server> = Server::ALL.into_iter().filter(wanted).collect();
    let lab = Lab::open(servers.iter().any(|server| !server.is_own()))?;
    runtime.block_on(compare(options, &lab, &servers))
}

async fn compare(options: &Options, lab: &Lab, servers: &[Server]) -> anyhow::Result<usize> {
    let count = if options.quick { 1000 } else { options.count };
    let numbers: Vec<u64> = options.only.map_or_else(|| (0..count).collect(), |only| vec![only]);
    let streams: Arc<Vec<Stream>> =
        Arc::new(numbers.iter().map(|&number| Stream::generate(options.seed, number)).collect());
    let mut running = Vec::new();
    for &server in servers {
        running.extend(lab.start(server).await.with_context(|| server.name())?);
    }
    let start = Instant::now();
    let results = join_all(running.iter().map(|running| send_all(running, &streams))).await;
    let servers: Vec<Server> = running.iter().map(|running| running.server).collect();
    let mut sessions = Vec::new();
    for (result, server) in results.into_iter().zip(&servers) {
        sessions.push((*server, result.with_context(|| server.name())?.into_iter()));
    }
    println!(
        "{} streams of seed {} in {:.0} s, {AT_ONCE} connections at once to each server. {}\n",
        streams.len(),
        options.seed,
        start.elapsed().as_secs_f64(),
        lab.versions().join(", "),
    );
    let mut rows = Vec::new();
    for stream in streams.iter() {
        let mut verdicts: Vec<(Server, Verdict)> = Vec::new();
        for (server, sessions) in &mut sessions {
            let session = sessions.next().context("a stream without a session")?;
            let verdict = judge(&session, stream.number);
            if options.only.is_some() {
                tell(*server, stream, &session, &verdict);
            }
            verdicts.push((*server, verdict));
        }
        rows.push(Row { stream: stream.clone(), requests: reference::read(&stream.bytes).requests, verdicts });
    }
    let missed = report::print(&rows, &servers);
    println!("Bars missed: {missed}.");
    Ok(missed)
}

/// Sends all streams to a server; returns the sessions in the order of the streams.
async fn send_all(running: &Running, streams: &Arc<Vec<Stream>>) -> anyhow::Result<Vec<Session>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for at in 0..streams.len() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (streams, address) = (Arc::clone(streams), running.address);
        tasks.spawn(async move {
            let session = timeout(LONGEST, session::run(address, &streams[at])).await;
            drop(place);
            (at, session)
        });
    }
    let mut sessions: Vec<Option<Session>> = streams.iter().map(|_| None).collect();
    while let Some(done) = tasks.join_next().await {
        let (at, session) = done?;
        let number = streams[at].number;
        let session = session.with_context(|| format!("stream {number}: timeout"))?;
        sessions[at] = Some(session.with_context(|| format!("stream {number}"))?);
    }
    let Some(sessions) = sessions.into_iter().collect() else { bail!("a stream was not sent") };
    Ok(sessions)
}

fn tell(server: Server, stream: &Stream, session: &Session, verdict: &Verdict) {
    if server == Server::Gateway {
        println!("`{}`", verdict::text(&stream.bytes));
        println!("cuts {:?}, then a rest of {:?}; mutations {:?}", stream.cuts, stream.rest, stream.mutations);
        for request in &session.reading.requests {
            let (method, path) = (verdict::text(&request.method), verdict::text(&request.path));
            println!("request {method} {path} {:?}", request.features);
        }
        println!("the reading ends {:?}\n", session.reading.end);
    }
    println!("{}: {:?}, {:?}", server.name(), verdict.outcomes, verdict.after);
    for answer in &session.answers {
        println!("  {answer:?}");
    }
    if let Some(fault) = &verdict.fault {
        println!("  {fault}");
    }
}
