//! Responses that clients do not read.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Scenario;
use crate::client::{Connection, answers, count, fetch, get, threads_taken};
use crate::lab::{Contender, Lab};
use crate::probe::Neighbours;
use crate::report::{Limit, Sheet, Unit};

/// Responses that fit into the buffer.
pub(crate) const SMALL: Scenario =
    Scenario::new("slow-readers-small", small_load, |lab, contender| Box::pin(small(lab, contender)));

/// Responses that are larger than the buffer.
pub(crate) const LARGE: Scenario =
    Scenario::new("slow-readers-large", large_load, |lab, contender| Box::pin(large(lab, contender)));

const BUFFERED: usize = 200;
const UNBUFFERED: usize = 4;

fn small_load(_: bool) -> String {
    format!(
        "{BUFFERED} clients request 256 KiB each, half of them in one piece and half as a stream, and read only the head."
    )
}

async fn small(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let neighbours = Neighbours::settle(server.address).await?;
    let before = server.usage()?;
    let mut clients = Vec::new();
    let mut without_head = 0;
    for number in 0..BUFFERED {
        let target = if number % 2 == 0 { "/bytes?n=262144" } else { "/stream?n=262144" };
        let mut client = Connection::open_narrow(server.address).await?;
        client.send(&get(target)).await?;
        // Send the requests one after another, so that no request is refused because of a burst.
        if !matches!(timeout(Duration::from_millis(250), client.reply_head()).await, Ok(Ok(200))) {
            without_head += 1;
        }
        clients.push(client);
        if without_head > 8 {
            sheet.note("gave up on more clients after eight had got no head");
            break;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let growth = server.growth(&before)?;
    let open = count(server.address, "opened").await? - count(server.address, "closed").await?;
    sheet.count("clients without a head after 250 ms", without_head, Limit::Exactly(0.0));
    sheet.count("streams not yet finished after 1 s", open, Limit::Exactly(0.0));
    sheet.put("memory grew by", growth, Unit::Growth, Limit::AtMost(150.0 * f64::from(1 << 20)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    neighbours.leave(&mut sheet, 50.0).await?;
    sheet.count("threads taken", threads_taken(server.address).await, Limit::Exactly(0.0));
    drop(clients);
    Ok(sheet)
}

fn large_load(_: bool) -> String {
    format!("{UNBUFFERED} clients request a stream of 1 GiB each and read only the head; the write timeout is 5 s.")
}

async fn large(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    fetch(server.address, "/ok").await?;
    let before = server.usage()?;
    let mut clients = Vec::new();
    let start = Instant::now();
    for _ in 0..UNBUFFERED {
        let mut client = Connection::open_narrow(server.address).await?;
        client.send(&get("/stream?n=1073741824")).await?;
        client.reply_head().await?;
        clients.push(client);
    }
    let mut most = 0.0_f64;
    let (mut first, mut last, mut closes) = (f64::NAN, f64::NAN, 0);
    while closes < UNBUFFERED as i64 && start.elapsed() < Duration::from_secs(9) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(server.growth(&before)?);
        closes = count(server.address, "closed").await?;
        if closes > 0 {
            last = start.elapsed().as_secs_f64();
            first = if first.is_nan() { last } else { first };
        }
    }
    let stall = Limit::Between(4.0, 6.0);
    sheet.put("first write error after", first, Unit::Seconds, stall);
    sheet.put("last write error after", last, Unit::Seconds, stall);
    sheet.count("closes", closes, Limit::Exactly(UNBUFFERED as f64));
    sheet.put("memory grew by", most, Unit::Growth, Limit::AtMost(16.0 * f64::from(1 << 20)));
    sheet.count("then /fast answers", answers(server.address, "/fast").await, Limit::Exactly(1.0));
    sheet.count("then threads taken", threads_taken(server.address).await, Limit::Exactly(0.0));
    drop(clients);
    Ok(sheet)
}
