//! A load of twice the capacity for a chosen time, in which every request is accounted for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::Scenario;
use crate::client::{Connection, Outcome, get, post};
use crate::dice::Dice;
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario = Scenario {
    asked_for: true,
    longest: |lab| length(lab) + WARM_UP + Duration::from_secs(120),
    ..Scenario::new("soak", load, |lab, contender| Box::pin(run(lab, contender))).alone()
};

/// The number of clients. Together they send requests at twice the rate that four threads can process.
const CLIENTS: u64 = 64;
const PERIOD: Duration = Duration::from_millis(120);

/// The time at which the first resource figures are taken; the last figures are compared with the first.
const WARM_UP: Duration = Duration::from_secs(60);

fn length(lab: &Lab) -> Duration {
    match lab.quick {
        true => Duration::from_secs(10),
        false => Duration::from_secs(60 * lab.minutes),
    }
}

/// The number of requests by outcome.
type Ends = BTreeMap<String, u64>;

fn of(ends: &Ends, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| ends.get(*name)).sum()
}

fn load(quick: bool) -> String {
    format!(
        "{CLIENTS} clients ask for twice what four threads get done{}; failures, panics and clients that leave among them. \
         The access log has to tell what the clients have seen.",
        if quick { ", for 10 s" } else { "" }
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let mut server = lab.start_with_access_log().await?;
    let log = lab.log(contender, server.address.port());
    let mut seen = ask(server.address, WARM_UP.min(length(lab)), 0).await?;
    sleep(Duration::from_secs(2)).await;
    let before = server.usage()?;
    for (end, count) in ask(server.address, length(lab), 1).await? {
        *seen.entry(end).or_default() += count;
    }
    sleep(Duration::from_secs(2)).await;
    let after = server.usage()?;
    server.process.terminate()?;
    server.process.ended(Duration::from_secs(15)).await?.context("the server did not stop within 15 s")?;
    let recorded = outcomes(&log)?;
    let mut sheet = Sheet::default();
    let sent: u64 = seen.values().sum();
    sheet.count("requests sent", usize::try_from(sent)?, Limit::None);
    sheet.count("of them 200", usize::try_from(of(&seen, &["200"]))?, Limit::None);
    sheet.count("of them 503", usize::try_from(of(&seen, &["503"]))?, Limit::None);
    let pairs: [(&str, &[&str], &[&str]); 6] = [
        ("requests that the log has, beyond those sent", &[], &[]),
        ("complete in the log, beyond answers of 200", &["200"], &["complete"]),
        ("turned away in the log, beyond answers of 503", &["503"], &["shed", "expired in queue"]),
        ("errors in the log, beyond answers of 500", &["500"], &["error"]),
        ("aborted in the log, beyond messages broken off", &["cut"], &["aborted"]),
        ("gone in the log, beyond clients that left", &["left"], &["client gone"]),
    ];
    for (name, statuses, labels) in pairs {
        let (expected, logged) = match statuses {
            [] => (sent, recorded.values().sum()),
            _ => (of(&seen, statuses), of(&recorded, labels)),
        };
        sheet.put(name, logged as f64 - expected as f64, Unit::Count, Limit::Exactly(0.0));
    }
    sheet.count("unanswered", usize::try_from(of(&seen, &["unanswered"]))?, Limit::Exactly(0.0));
    sheet.resources(&before, &after, f64::from(4 << 20));
    Ok(sheet)
}

async fn ask(address: SocketAddr, length: Duration, seed: u64) -> anyhow::Result<Ends> {
    let end = Instant::now() + length;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let mut dice = Dice::new(seed * CLIENTS + client);
            let mut ends = Ends::new();
            let mut spare = None;
            let offset = PERIOD * u32::try_from(client).unwrap_or(0) / u32::try_from(CLIENTS).unwrap_or(1);
            let mut ticks = interval_at(Instant::now() + offset, PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while ticks.tick().await < end {
                let mut connection = match spare.take() {
                    Some(connection) => connection,
                    None => Connection::open(address).await?,
                };
                let ended = if dice.below(50) == 0 {
                    leave(connection).await
                } else {
                    let answer = timeout(Duration::from_secs(30), connection.exchange(&one(&mut dice))).await;
                    match answer.context("timeout of a response")? {
                        Outcome::Answered(reply) => {
                            spare = (!reply.closes).then_some(connection);
                            reply.status.to_string()
                        }
                        Outcome::Cut => "cut".to_owned(),
                        Outcome::Unanswered => "unanswered".to_owned(),
                    }
                };
                *ends.entry(ended).or_default() += 1;
            }
            anyhow::Ok(ends)
        });
    }
    let mut all = Ends::new();
    while let Some(ends) = clients.join_next().await {
        for (end, count) in ends?? {
            *all.entry(end).or_default() += count;
        }
    }
    Ok(all)
}

/// Requests a body that is larger than all buffers, and disconnects after the response head.
async fn leave(mut connection: Connection) -> String {
    if connection.send(&get("/stream?n=50000000&chunk=10000")).await.is_err() {
        return "unanswered".to_owned();
    }
    match connection.reply_head().await {
        Ok(200) => {
            connection.reset();
            "left".to_owned()
        }
        Ok(status) => status.to_string(),
        Err(_) => "unanswered".to_owned(),
    }
}

/// A random request; three of four occupy a thread for 20 ms.
fn one(dice: &mut Dice) -> Vec<u8> {
    match dice.below(40) {
        0 => get("/raise?how=panic"),
        1 | 2 => get("/raise"),
        3 => get("/raise-mid"),
        4 | 5 => get("/stream?n=50000&chunk=10000"),
        6 => post("/echo", 1_000),
        7 | 8 => get("/ok"),
        9 => get("/bytes?n=100000"),
        _ => get("/sleep?ms=20"),
    }
}

/// The number of requests by outcome in an access log.
fn outcomes(log: &Path) -> anyhow::Result<Ends> {
    let mut ends = Ends::new();
    for line in BufReader::new(File::open(log)?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line.contains("gateway::access")
            && let Some((_, outcome)) = line.rsplit_once("outcome=")
        {
            *ends.entry(outcome.trim().to_owned()).or_default() += 1;
        }
    }
    Ok(ends)
}
