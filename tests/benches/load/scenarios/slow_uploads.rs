//! Uploads that arrive slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use crate::client::{Connection, count, post_head, threads_taken};
use crate::lab::{Contender, Lab};
use crate::probe::Neighbours;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("slow-uploads", load, |lab, contender| Box::pin(run(lab, contender))).with_python().at_once();

const CLIENTS: usize = 200;
const BODY: usize = 64 * 1024;

fn seconds(quick: bool) -> u64 {
    if quick { 6 } else { 60 }
}

fn load(quick: bool) -> String {
    let seconds = seconds(quick);
    format!(
        "{CLIENTS} clients upload 64 KiB each at one byte per second, for {seconds} s; all servers at the same time."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let neighbours = Neighbours::settle(server.address).await?;
    let before = server.usage()?;
    let (sending, turned_away) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (sending, turned_away) = (Arc::clone(&sending), Arc::clone(&turned_away));
        let address = server.address;
        clients.spawn(async move {
            let mut connection = Connection::open(address).await?;
            connection.send(&post_head("/echo", BODY)).await?;
            sending.fetch_add(1, Ordering::Relaxed);
            // Wait for a response between two bytes; there should be none.
            while timeout(Duration::from_secs(1), connection.reply()).await.is_err() {
                connection.send(b"x").await?;
            }
            turned_away.fetch_add(1, Ordering::Relaxed);
            std::io::Result::Ok(())
        });
    }
    let end = Instant::now() + Duration::from_secs(seconds(lab.quick));
    let most = server.most_growth(&before, Duration::from_millis(500), || Instant::now() < end).await?;
    neighbours.leave(&mut sheet, 50.0).await?;
    sheet.count("clients that got to send", sending.load(Ordering::Relaxed), Limit::Exactly(CLIENTS as f64));
    sheet.count("of them turned away meanwhile", turned_away.load(Ordering::Relaxed), Limit::None);
    // If all threads of the server are occupied, even the request for the counter may fail.
    let ran = count(server.address, "echo").await.unwrap_or(-1);
    sheet.count("applications run for half a body", ran, Limit::Exactly(0.0));
    sheet.count("threads taken", threads_taken(server.address).await, Limit::Exactly(0.0));
    sheet.put("memory grew by", most, Unit::Growth, Limit::AtMost(32.0 * f64::from(1 << 20)));
    Ok(sheet)
}
