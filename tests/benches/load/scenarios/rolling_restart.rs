//! Two servers behind nginx that are restarted in turn, as an operator restarts them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Scenario;
use crate::client::{Connection, Outcome, get, post};
use crate::dice::Dice;
use crate::lab::{Contender, Lab};
use crate::nginx;
use crate::probe::Times;
use crate::process::free_port;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("rolling-restart", load, |lab, contender| Box::pin(run(lab, contender)));

const CLIENTS: u64 = 50;
/// The queue length of each of the two servers.
const QUEUE: usize = 64;

fn restarts(quick: bool) -> usize {
    if quick { 2 } else { 10 }
}

/// The results of the clients.
#[derive(Default)]
struct Seen {
    answered: Times,
    failed: usize,
    /// A description of the first failure.
    example: Option<String>,
}

fn load(quick: bool) -> String {
    let restarts = restarts(quick);
    format!(
        "Two servers behind nginx, each restarted {restarts} times by SIGTERM and start, never both at once, while \
         {CLIENTS} keep-alive connections send nginx one request after another."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let mut sheet = Sheet::default();
    if !nginx::is_installed() {
        sheet.note(nginx::MISSING);
        return Ok(sheet);
    }
    let ports = [free_port()?, free_port()?];
    let mut servers =
        [lab.start_at(contender, ports[0], QUEUE).await?, lab.start_at(contender, ports[1], QUEUE).await?];
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let _nginx = nginx::start(&lab.folder, front, &configure(front, ports)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(ask_through(front, Dice::new(client), Arc::clone(&stop)));
    }
    let (mut slowest, mut failed_exits) = (0.0_f64, 0);
    sleep(Duration::from_millis(300)).await;
    for turn in 0..2 * restarts(lab.quick) {
        let server = &mut servers[turn % 2];
        let start = tokio::time::Instant::now();
        server.process.terminate()?;
        let status = server.process.ended(Duration::from_secs(8)).await?;
        slowest = slowest.max(start.elapsed().as_secs_f64());
        failed_exits += usize::from(!status.is_some_and(|status| status.success()));
        *server = lab.start_at(contender, ports[turn % 2], QUEUE).await?;
        sleep(Duration::from_millis(300)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    while let Some(one) = clients.join_next().await {
        let one = one?;
        seen.answered.append(one.answered);
        seen.failed += one.failed;
        seen.example = seen.example.or(one.example);
    }
    sheet.count("requests answered", seen.answered.len(), Limit::None);
    sheet.count("requests failed", seen.failed, Limit::Exactly(0.0));
    sheet.put("p99", seen.answered.percentile(99), Unit::Milliseconds, Limit::None);
    sheet.put("slowest exit", slowest, Unit::Seconds, Limit::AtMost(6.0));
    sheet.count("exit codes other than 0", failed_exits, Limit::Exactly(0.0));
    if let Some(example) = seen.example {
        sheet.note(format!("a failure: {example}"));
    }
    Ok(sheet)
}

/// Sends requests one after another, and reconnects if nginx closes the connection.
async fn ask_through(front: SocketAddr, mut dice: Dice, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut spare = None;
    while !stop.load(Ordering::Relaxed) {
        let (name, request) = match dice.below(4) {
            0 => ("/sleep", get("/sleep?ms=10")),
            1 => ("/echo", post("/echo", 2_000)),
            2 => ("/stream", get("/stream?n=100000&chunk=20000&ms=1")),
            _ => ("/ok", get("/ok")),
        };
        let start = tokio::time::Instant::now();
        let exchange = async {
            let mut connection = match spare.take() {
                Some(connection) => connection,
                None => Connection::open(front).await.map_err(|error| error.to_string())?,
            };
            match connection.exchange(&request).await {
                Outcome::Answered(reply) if reply.status == 200 => Ok((!reply.closes).then_some(connection)),
                Outcome::Answered(reply) => Err(format!("{name}: status {}", reply.status)),
                other => Err(format!("{name}: {other:?}")),
            }
        };
        match timeout(Duration::from_secs(10), exchange).await.unwrap_or_else(|_| Err(format!("{name}: no answer"))) {
            Ok(connection) => {
                spare = connection;
                seen.answered.push(start.elapsed());
            }
            Err(example) => {
                seen.failed += 1;
                seen.example.get_or_insert(example);
            }
        }
    }
    seen
}

/// nginx sends a refused or failed request to the other server, POST included: repeated requests do no harm on these
/// routes. nginx marks no server as down, because the other server may be the next one to restart.
fn configure(front: SocketAddr, [first, second]: [u16; 2]) -> String {
    format!(
        "    upstream servers {{
        server 127.0.0.1:{first} max_fails=0;
        server 127.0.0.1:{second} max_fails=0;
        keepalive 32;
    }}
    server {{
        listen {front};
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_connect_timeout 2s;
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        }}
    }}"
    )
}
