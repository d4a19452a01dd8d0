//! Clients that disconnect at random moments.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Scenario;
use crate::client::{Connection, count, get, post, post_head, threads_taken};
use crate::dice::Dice;
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("disconnects", load, |lab, contender| Box::pin(run(lab, contender)));

const AT_ONCE: u64 = 10;

fn clients(quick: bool) -> u64 {
    if quick { 300 } else { 1000 }
}

fn load(quick: bool) -> String {
    let clients = clients(quick);
    format!(
        "{clients} clients, {AT_ONCE} at a time, reset their connection at random moments while they send or receive."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let address = server.address;
    let mut sheet = Sheet::default();
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        let clients = clients(lab.quick) / AT_ONCE;
        tasks.spawn(async move {
            let mut dice = Dice::new(worker);
            for _ in 0..clients {
                leave(address, &mut dice).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let start = Instant::now();
    let (mut opened, mut closed) = (0, -1);
    while opened != closed && start.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(20)).await;
        opened = count(address, "opened").await?;
        closed = count(address, "closed").await?;
    }
    let settled = if opened == closed { start.elapsed().as_secs_f64() } else { f64::NAN };
    sheet.count("bodies opened", opened, Limit::AtLeast(1.0));
    sheet.count("bodies closed", closed, Limit::Exactly(opened as f64));
    sheet.put("all closed after", settled, Unit::Seconds, Limit::AtMost(1.0));
    sheet.count("then threads taken", threads_taken(address).await, Limit::Exactly(0.0));
    Ok(sheet)
}

/// Sends a random request, and disconnects before the response is complete.
async fn leave(address: SocketAddr, dice: &mut Dice) -> std::io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let request = match dice.below(5) {
        // Half of an upload that is larger than the maximum read-ahead.
        0 => [post_head("/echo", 400_000), vec![b'x'; 200_000]].concat(),
        1 => post("/echo", 300_000),
        2 => get("/sleep?ms=5"),
        _ => get("/stream?n=4000000&chunk=20000&ms=1"),
    };
    let most = usize::try_from(dice.below(100_000)).unwrap_or(0);
    let moment = Duration::from_millis(dice.below(30));
    let _ = timeout(moment, async {
        connection.send(&request).await?;
        connection.skim(most).await
    })
    .await;
    connection.reset();
    Ok(())
}
