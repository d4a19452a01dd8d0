//! SIGTERM while requests of all kinds are in progress.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use crate::client::{Connection, Outcome, get, post};
use crate::dice::Dice;
use crate::lab::{Contender, Lab};
use crate::process::free_port;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("graceful-stop", load, |lab, contender| Box::pin(run(lab, contender))).at_once();

const CLIENTS: u64 = 50;
/// The queue is long enough that no request is refused: the scenario measures the shutdown only.
const QUEUE: usize = 64;
/// The number of request heads that are never completed.
const HALVES: usize = 5;
/// The grace period of the gateway, plus one second.
const EXIT_WITHIN: f64 = 6.0;
/// A request that was sent less than this time before the signal may not have reached the server.
const SETTLED: Duration = Duration::from_millis(50);

fn repeats(quick: bool) -> u64 {
    if quick { 8 } else { 50 }
}

/// The outcomes of the requests of one client.
#[derive(Default)]
struct Ends {
    answered: usize,
    refused: usize,
    cut: usize,
    /// For each request without a response: the time at which its last byte was sent.
    unanswered: Vec<Instant>,
}

fn load(quick: bool) -> String {
    let repeats = repeats(quick);
    format!(
        "{CLIENTS} keep-alive connections send one request after another; SIGTERM comes at a random moment; {repeats} \
         times, one in ten of them with {HALVES} open connections that sent half a head; all servers at the same time. The \
         gateway has a queue of {QUEUE}, so that it refuses no request."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let mut sheet = Sheet::default();
    let mut dice = Dice::new(1);
    let (mut total, mut lost, mut lately, mut failed_exits) = (Ends::default(), 0, 0, 0);
    let (mut slowest, mut slowest_with_halves) = (0.0_f64, 0.0_f64);
    for repeat in 0..repeats(lab.quick) {
        let mut server = lab.start_at(contender, free_port()?, QUEUE).await?;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(ask_on(server.address, Dice::new(repeat * CLIENTS + client)));
        }
        let mut halves = Vec::new();
        if repeat % 10 == 5 {
            for _ in 0..HALVES {
                let mut half = Connection::open(server.address).await?;
                half.send(b"GET /ok HTTP/1.1\r\nHost: lo").await?;
                halves.push(half);
            }
        }
        tokio::time::sleep(Duration::from_millis(150 + dice.below(500))).await;
        let signalled = Instant::now();
        server.process.terminate()?;
        let status = server.process.ended(Duration::from_secs(8)).await?;
        let took = signalled.elapsed().as_secs_f64();
        let slowest = if halves.is_empty() { &mut slowest } else { &mut slowest_with_halves };
        *slowest = slowest.max(took);
        failed_exits += usize::from(!status.is_some_and(|status| status.success()));
        // Kill the server if it still runs, so that its clients end, too.
        drop(server);
        while let Some(ends) = clients.join_next().await {
            let ends = ends?;
            total.answered += ends.answered;
            total.refused += ends.refused;
            total.cut += ends.cut;
            lately += ends.unanswered.iter().filter(|&&sent| sent <= signalled).count();
            lost += ends.unanswered.iter().filter(|&&sent| sent + SETTLED <= signalled).count();
            total.unanswered.extend(ends.unanswered);
        }
    }
    sheet.count("whole answers", total.answered, Limit::None);
    sheet.count("of them 503", total.refused, Limit::None);
    sheet.count("partial answers", total.cut, Limit::Exactly(0.0));
    sheet.count("requests sent 50 ms before SIGTERM and not answered", lost, Limit::Exactly(0.0));
    sheet.count("not answered, sent in the 50 ms before", lately - lost, Limit::None);
    sheet.count("not answered, sent after it", total.unanswered.len() - lately, Limit::None);
    sheet.put("slowest exit", slowest, Unit::Seconds, Limit::AtMost(EXIT_WITHIN));
    sheet.put("slowest exit beside half heads", slowest_with_halves, Unit::Seconds, Limit::AtMost(EXIT_WITHIN));
    sheet.count("exit codes other than 0", failed_exits, Limit::Exactly(0.0));
    Ok(sheet)
}

/// Sends requests on one connection until the server closes it.
async fn ask_on(address: SocketAddr, mut dice: Dice) -> Ends {
    let mut ends = Ends::default();
    let Ok(mut connection) = Connection::open(address).await else { return ends };
    loop {
        let request = match dice.below(5) {
            0 => get("/sleep?ms=20"),
            1 => get("/stream?n=200000&chunk=20000&ms=1"),
            2 => post("/echo", 10_000),
            _ => get("/ok"),
        };
        if connection.send(&request).await.is_err() {
            // The request could not be sent completely.
            return ends;
        }
        let sent = Instant::now();
        match timeout(Duration::from_secs(15), connection.reply()).await {
            Ok(Outcome::Answered(reply)) => {
                ends.answered += 1;
                ends.refused += usize::from(reply.status == 503);
                if reply.closes {
                    return ends;
                }
            }
            Ok(Outcome::Cut) => {
                ends.cut += 1;
                return ends;
            }
            Ok(Outcome::Unanswered) | Err(_) => {
                ends.unanswered.push(sent);
                return ends;
            }
        }
    }
}
