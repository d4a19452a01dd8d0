//! Connections that stay open without requests.

use std::time::Duration;

use tokio::time::sleep;

use super::Scenario;
use crate::client::{Connection, Outcome, fetch, get, threads_taken};
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario = Scenario::new("idle", load, |lab, contender| Box::pin(run(lab, contender)));

fn wanted(quick: bool) -> u64 {
    if quick { 2_000 } else { 10_000 }
}

fn load(quick: bool) -> String {
    let wanted = wanted(quick);
    format!("{wanted} connections before their first request; and then kept alive, after one request to /ok each.")
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let wanted = wanted(lab.quick);
    // This program and the server need one file descriptor per connection each.
    let connections = wanted.min(lab.files.saturating_sub(200));
    if connections < wanted {
        sheet.note(format!("only {connections} connections, since no more than {} files may be open", lab.files));
    }
    fetch(server.address, "/ok").await?;
    threads_taken(server.address).await;
    sleep(Duration::from_millis(500)).await;
    let before = server.usage()?;
    let mut idle = Vec::new();
    for _ in 0..connections {
        idle.push(Connection::open_narrow(server.address).await?);
    }
    sleep(Duration::from_secs(1)).await;
    let fresh = server.growth(&before)? / connections as f64;
    let mut failed = 0;
    for connection in &mut idle {
        if !matches!(connection.exchange(&get("/ok")).await, Outcome::Answered(reply) if reply.status == 200) {
            failed += 1;
        }
    }
    // The gateway releases the buffers of a connection that has been idle for one second.
    sleep(Duration::from_secs(3)).await;
    let after = server.usage()?;
    let each = after.growth(&before) / connections as f64;
    sheet.put("memory of each before its first request", fresh, Unit::Kilobytes, Limit::AtMostOf("spawn_blocking"));
    sheet.count("requests failed", failed, Limit::Exactly(0.0));
    sheet.put("memory of each after it", each, Unit::Kilobytes, Limit::AtMostOf("spawn_blocking"));
    sheet.note("10 kB each is the aim. The bytes in use are fewer, because the allocator keeps freed memory.");
    sheet.count("threads more than before", after.threads.saturating_sub(before.threads), Limit::Exactly(0.0));
    sheet.count("threads taken", threads_taken(server.address).await, Limit::Exactly(0.0));
    drop(idle);
    Ok(sheet)
}
