//! Uploads that are larger than the read-ahead, and stall after the part that is read ahead.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Scenario;
use crate::client::{Connection, Outcome, count, fetch, get, post_head, threads_taken};
use crate::lab::{Contender, Lab};
use crate::probe::Neighbours;
use crate::report::{Limit, Sheet};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("stalled-uploads", load, |lab, contender| Box::pin(run(lab, contender)));

const CLIENTS: usize = 4;
const READ_AHEAD: usize = 64 * 1024;

/// The server's timeout for the next bytes of a body, plus one second.
const IDLE: Duration = Duration::from_secs(6);

fn load(_: bool) -> String {
    format!(
        "{CLIENTS} clients, as many as there are threads, send 64 KiB and a byte of 100 KiB and stall; the server waits \
         5 s for more. A body larger than the read-ahead occupies a thread; the limits allow that."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    fetch(server.address, "/ok").await?;
    let neighbours = Neighbours::settle(server.address).await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open(server.address).await?;
        client.send(&post_head("/sum", 100 * 1024)).await?;
        client.send(&vec![b'x'; READ_AHEAD + 1]).await?;
        clients.push(client);
    }
    sleep(Duration::from_millis(500)).await;
    let ok = timeout(Duration::from_secs(1), async {
        let mut connection = Connection::open(server.address).await.ok()?;
        Some(connection.exchange(&get("/ok")).await)
    });
    let answers = matches!(ok.await, Ok(Some(Outcome::Answered(reply))) if reply.status == 200);
    let taken = threads_taken(server.address).await;
    sleep(IDLE).await;
    sheet.count("threads that they hold", taken, Limit::None);
    sheet.count("GET /ok answered beside them within 1 s", answers, Limit::None);
    neighbours.leave(&mut sheet, 50.0).await?;
    sheet.count(
        "uploads taken for whole",
        count(server.address, "sum_success").await.unwrap_or(-1),
        Limit::Exactly(0.0),
    );
    sheet.count("threads taken after 6 s", threads_taken(server.address).await, Limit::Exactly(0.0));
    drop(clients);
    Ok(sheet)
}
