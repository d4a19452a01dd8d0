//! The resources of a server after a large number of requests of all kinds.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Scenario;
use crate::client::{Connection, Outcome, get, post};
use crate::dice::Dice;
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario = Scenario::new("leak", load, |lab, contender| Box::pin(run(lab, contender)));

const AT_ONCE: u64 = 12;

/// The number of requests of the warm-up, and of the measurement.
fn requests(quick: bool) -> (u64, u64) {
    if quick { (8_000, 20_000) } else { (20_000, 100_000) }
}

fn load(quick: bool) -> String {
    let (warm_up, counted) = requests(quick);
    format!(
        "{counted} requests of all kinds on {AT_ONCE} connections, including failures and disconnects, after a warm-up of \
         {warm_up}; the server's resources 2 s later, compared with 2 s after the warm-up."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let (warm_up, counted) = requests(lab.quick);
    ask(server.address, warm_up, 0).await?;
    sleep(Duration::from_secs(2)).await;
    let before = server.usage()?;
    let start = tokio::time::Instant::now();
    ask(server.address, counted, 1).await?;
    let took = start.elapsed().as_secs_f64();
    sleep(Duration::from_secs(2)).await;
    let after = server.usage()?;
    sheet.resources(&before, &after, f64::from(1 << 20));
    sheet.put("the requests took", took, Unit::Seconds, Limit::None);
    Ok(sheet)
}

async fn ask(address: SocketAddr, requests: u64, seed: u64) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        tasks.spawn(async move {
            let mut dice = Dice::new(seed * AT_ONCE + worker);
            let mut spare = None;
            for _ in 0..requests / AT_ONCE {
                let mut connection = match spare.take() {
                    Some(connection) => connection,
                    None => Connection::open(address).await?,
                };
                let request = one(&mut dice);
                if dice.below(50) == 0 {
                    // Disconnect without reading the response.
                    connection.send(&request).await?;
                    connection.reset();
                    continue;
                }
                spare = match connection.exchange(&request).await {
                    Outcome::Answered(reply) if !reply.closes => Some(connection),
                    _ => None,
                };
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// A random request.
fn one(dice: &mut Dice) -> Vec<u8> {
    match dice.below(40) {
        0 => get("/raise?how=panic"),
        1 => get("/raise"),
        2 => get("/raise-mid"),
        3 => get("/nowhere"),
        4 => b"GET /ok HTTP/1.1\r\nHost: load.test\r\nno field\r\n\r\n".to_vec(),
        5 => post("/sum", 100_000),
        6..10 => post("/echo", 1_000),
        10..14 => get("/stream?n=50000&chunk=10000"),
        14..20 => get("/bytes?n=10000"),
        20..25 => get("/fast"),
        _ => get("/ok"),
    }
}
