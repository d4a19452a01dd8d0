//! Connections that are kept open, and ask nothing.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::Scenario;
use crate::client::{Connection, Outcome, fetch, get, threads_taken};
use crate::lab::{Contender, Lab};
use crate::report::{Bar, Sheet, Unit};

pub(crate) struct Idle;

const WANTED: u64 = 10_000;

#[async_trait]
impl Scenario for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn load(&self, quick: bool) -> String {
        let wanted = if quick { WANTED / 5 } else { WANTED };
        format!(
            "{wanted} connections that have asked for nothing yet; and then, each has asked for /ok once and is kept alive."
        )
    }

    async fn run(&self, lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
        let server = lab.start(contender).await?;
        let mut sheet = Sheet::default();
        let wanted = if lab.quick { WANTED / 5 } else { WANTED };
        // This program and the server have one end each.
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
        // The gateway gives buffers back after a second.
        sleep(Duration::from_secs(3)).await;
        let after = server.usage()?;
        let each = (after.memory as f64 - before.memory as f64) / connections as f64;
        sheet.put("memory of each before its first request", fresh, Unit::Kilobytes, Bar::AtMostOf("spawn_blocking"));
        sheet.count("requests failed", failed, Bar::Exactly(0.0));
        sheet.put("memory of each after it", each, Unit::Kilobytes, Bar::AtMostOf("spawn_blocking"));
        sheet.note(
            "10 kB each is the aim. The bytes in use are fewer than these: what was given back at different times, the \
             allocator keeps for others.",
        );
        sheet.count("threads more than before", after.threads.saturating_sub(before.threads), Bar::Exactly(0.0));
        sheet.count("threads taken", threads_taken(server.address).await, Bar::Exactly(0.0));
        drop(idle);
        Ok(sheet)
    }
}
