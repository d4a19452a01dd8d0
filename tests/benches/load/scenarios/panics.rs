//! Requests whose applications panic, one after another.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Scenario;
use crate::client::{Connection, Outcome, get};
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario = Scenario::new("panics", load, |lab, contender| Box::pin(run(lab, contender)));

const AT_ONCE: usize = 16;
const GOOD: usize = 1000;

fn panics(quick: bool) -> usize {
    if quick { 2_000 } else { 10_000 }
}

fn load(quick: bool) -> String {
    let panics = panics(quick);
    format!("{panics} requests on {AT_ONCE} connections, each of which panics; then {GOOD} requests without a panic.")
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let all = panics(lab.quick);
    // Before the first measurement, all threads have to be started, and each has to have caught a panic.
    ask(server.address, AT_ONCE, "/raise?how=panic", 500, 200).await?;
    let before = server.usage()?;
    let failed = ask(server.address, AT_ONCE, "/raise?how=panic", 500, all).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = server.usage()?;
    let good = ask(server.address, AT_ONCE, "/ok", 200, GOOD).await?;
    sheet.count("answers of 500", failed, Limit::Exactly(all as f64));
    sheet.count("threads before", before.threads, Limit::None);
    sheet.count("threads after", after.threads, Limit::Exactly(before.threads as f64));
    sheet.put("memory grew by", after.growth(&before), Unit::Growth, Limit::AtMost(8.0 * f64::from(1 << 20)));
    sheet.count("then answers of 200", good, Limit::Exactly(GOOD as f64));
    Ok(sheet)
}

/// Sends a number of requests for a target, on some connections, and returns the number of responses with the given
/// status.
pub(super) async fn ask(
    address: SocketAddr,
    connections: usize,
    target: &'static str,
    status: u16,
    times: usize,
) -> anyhow::Result<usize> {
    let mut tasks = JoinSet::new();
    for worker in 0..connections {
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut answers = 0;
            for _ in (worker..times).step_by(connections) {
                match connection.exchange(&get(target)).await {
                    Outcome::Answered(reply) => {
                        answers += usize::from(reply.status == status);
                        if reply.closes {
                            connection = Connection::open(address).await?;
                        }
                    }
                    Outcome::Cut | Outcome::Unanswered => connection = Connection::open(address).await?,
                }
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(some) = tasks.join_next().await {
        answers += some??;
    }
    Ok(answers)
}
