//! A mount whose jobs have been short, and turn into something else.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use super::panics::ask;
use crate::client::{Connection, get};
use crate::lab::{Contender, Lab};
use crate::probe::Neighbours;
use crate::report::{Limit, Sheet};

pub(crate) const SLEEPING: Scenario = Scenario::new(
    "turning-sleepers",
    |quick| load(quick, "sleep for 20 ms each"),
    |lab, contender| Box::pin(run(lab, contender, "/sleep?ms=20", Some(200))),
);

pub(crate) const PANICKING: Scenario = Scenario::new(
    "turning-panics",
    |quick| load(quick, "panic"),
    |lab, contender| Box::pin(run(lab, contender, "/raise?how=panic", Some(500))),
);

pub(crate) const STUCK: Scenario = Scenario::new(
    "turning-stuck",
    |quick| load(quick, "never return, until each thread and each place in the queue is taken"),
    |lab, contender| Box::pin(run(lab, contender, "/stuck", None)),
)
.alone();

const CONNECTIONS: usize = 64;

/// The requests by which the mount becomes short.
const SHORT: usize = 5_000;

/// The time for which the requests that get no answer are held.
const HELD: Duration = Duration::from_secs(3);

fn requests(quick: bool) -> usize {
    if quick { 640 } else { 6_400 }
}

fn load(quick: bool, then: &str) -> String {
    let requests = requests(quick);
    format!(
        "{SHORT} short requests on {CONNECTIONS} connections; then {requests} requests of the same mount that {then}."
    )
}

/// `answer` is the status of the responses, or `None` if there will be none.
async fn run(lab: &Lab, contender: Contender, target: &'static str, answer: Option<u16>) -> anyhow::Result<Sheet> {
    let server = lab.start_at(contender, crate::process::free_port()?, 256).await?;
    let mut sheet = Sheet::default();
    let neighbours = Neighbours::settle(server.address).await?;
    let short = ask(server.address, CONNECTIONS, "/ok", 200, SHORT).await?;
    sheet.count("short requests without an answer", SHORT - short, Limit::Exactly(0.0));
    match answer {
        Some(status) => {
            let all = requests(lab.quick);
            let answered = ask(server.address, CONNECTIONS, target, status, all).await?;
            sheet.count("then requests without their answer", all - answered, Limit::Exactly(0.0));
            let again = ask(server.address, CONNECTIONS, "/ok", 200, SHORT).await?;
            sheet.count("then short requests without an answer", SHORT - again, Limit::Exactly(0.0));
        }
        None => hold(server.address, target).await?,
    }
    neighbours.leave(&mut sheet, 50.0).await?;
    Ok(sheet)
}

/// Sends one request on each connection, which is not answered, and waits.
async fn hold(address: SocketAddr, target: &'static str) -> anyhow::Result<()> {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(address).await?;
        clients.spawn(async move { timeout(HELD, connection.exchange(&get(target))).await });
    }
    while clients.join_next().await.is_some() {}
    Ok(())
}
