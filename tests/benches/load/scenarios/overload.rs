//! More concurrent requests than the server has capacity for.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use crate::client::{Connection, Outcome, count, fetch, get};
use crate::lab::{Contender, Lab};
use crate::probe::{Probe, Times};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("overload", load, |lab, contender| Box::pin(run(lab, contender))).with_python();

const CLIENTS: usize = 500;

/// The timeout of the clients.
const PATIENCE: Duration = Duration::from_secs(10);

fn load(_: bool) -> String {
    format!(
        "{CLIENTS} connected clients request work that takes a thread for 1 s, at once, and wait for 10 s. A request \
         counts as refused at once if its response came within 1 s; the other refused requests were queued first."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(server.address).await?);
    }
    fetch(server.address, "/ok").await?;
    let fast = Probe::start(server.address, "/fast", 50);
    let mut clients = JoinSet::new();
    for mut connection in connections {
        clients.spawn(async move {
            let start = Instant::now();
            let outcome = timeout(PATIENCE, connection.exchange(&get("/sleep?ms=1000"))).await;
            (outcome, start.elapsed())
        });
    }
    let (mut done, mut refused_at_once, mut refused_late, mut unanswered, mut broken) = (0, Times::default(), 0, 0, 0);
    while let Some(client) = clients.join_next().await {
        match client? {
            (Ok(Outcome::Answered(reply)), _) if reply.status == 200 => done += 1,
            (Ok(Outcome::Answered(reply)), after) if reply.status == 503 => {
                if after < Duration::from_secs(1) {
                    refused_at_once.push(after);
                } else {
                    refused_late += 1;
                }
            }
            (Err(_), _) => unanswered += 1,
            (Ok(_), _) => broken += 1,
        }
    }
    let fast = fast.stop().await?;
    let at_once = refused_at_once.len();
    sheet.count("answers", done + refused_late + at_once, Limit::Exactly(CLIENTS as f64));
    sheet.count("of them 200", done, Limit::None);
    sheet.count("of them 503", refused_late + at_once, Limit::AtLeast(472.0));
    sheet.count("of those at once", at_once, Limit::AtLeast(472.0));
    sheet.put("503 at once: p99", refused_at_once.percentile(99), Unit::Milliseconds, Limit::AtMost(100.0));
    sheet.count("resets and wrong answers", broken, Limit::Exactly(0.0));
    sheet.count("unanswered after 10 s", unanswered, Limit::Exactly(0.0));
    let most = count(server.address, "running_max").await.unwrap_or(-1);
    sheet.count("most at work", most, Limit::AtMost(4.0));
    sheet.count("/fast: failures", fast.failures, Limit::Exactly(0.0));
    sheet.put("/fast: p99", fast.times.percentile(99), Unit::Milliseconds, Limit::None);
    Ok(sheet)
}
