//! Request heads that are never completed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use crate::client::Connection;
use crate::lab::{Contender, Lab};
use crate::probe::Neighbours;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("slow-heads", load, |lab, contender| Box::pin(run(lab, contender))).at_once();

const CLIENTS: usize = 1000;

/// The server has to close a connection with an incomplete head after about 30 s.
const CLOSED_BY: f64 = 35.0;

fn seconds(quick: bool) -> u64 {
    if quick { 6 } else { 60 }
}

fn load(quick: bool) -> String {
    let seconds = seconds(quick);
    format!(
        "{CLIENTS} connections send a byte of a request head every 5 s, for {seconds} s; all servers at the same time."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let neighbours = Neighbours::settle(server.address).await?;
    let before = server.usage()?;
    let closed = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        // Spread the connects over time: otherwise the operating system drops connections, which is not a fault of a
        // server.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let closed = Arc::clone(&closed);
        let address = server.address;
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let start = Instant::now();
            connection.send(b"GET /ok HTTP/1.1\r\nHost: load.test\r\nX-Slow: ").await?;
            while timeout(Duration::from_secs(5), connection.closed()).await.is_err() {
                if connection.send(b"x").await.is_err() {
                    break;
                }
            }
            closed.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed().as_secs_f64());
            std::io::Result::Ok(())
        });
    }
    let end = Instant::now() + Duration::from_secs(seconds(lab.quick));
    let most = server.most_growth(&before, Duration::from_millis(500), || Instant::now() < end).await?;
    neighbours.leave(&mut sheet, 50.0).await?;
    let closed = closed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let last = closed.iter().copied().fold(f64::NAN, f64::max);
    if lab.quick {
        sheet.note("too short a run to see the time-out of 30 s; what was closed is not judged");
        sheet.count("connections closed", closed.len(), Limit::None);
    } else {
        sheet.count("connections closed", closed.len(), Limit::Exactly(CLIENTS as f64));
        sheet.put("the last of them after", last, Unit::Seconds, Limit::AtMost(CLOSED_BY));
    }
    sheet.put("memory grew by", most, Unit::Growth, Limit::AtMost(40.0 * f64::from(1 << 20)));
    Ok(sheet)
}
