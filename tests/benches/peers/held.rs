//! Requests to async routes while all threads of the pool are occupied.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use crate::client::{Connection, get};
use crate::compare::bout::order;
use crate::compare::lab::Lab;
use crate::compare::results::{Row, Sheet};
use crate::compare::server::Server;
use crate::contender::GATEWAY;
use crate::works;

pub(crate) const NAME: &str = "held";

/// The number of held requests: one for each thread, and four more for each thread in the queue.
const HELD: usize = 320;

/// The time for requests to reach the server, and for the server to notice disconnects.
const SETTLING: Duration = Duration::from_millis(300);

pub(crate) const IDLE: &str = "idle pool";
pub(crate) const BUSY: &str = "held pool";

pub(crate) async fn run(lab: &Lab) -> anyhow::Result<Sheet> {
    let server = lab.start(GATEWAY).await?;
    let load = works::beside();
    server.check(&load).await?;
    let mut rows = vec![Row::new(IDLE, None, load.connections), Row::new(BUSY, None, load.connections)];
    server.round(&load, 1).await?;
    for round in 0..lab.rounds {
        eprintln!("{NAME}: round {} of {}", round + 1, lab.rounds);
        for turn in order(round, rows.len()) {
            let measured = if turn == 0 {
                server.round(&load, lab.seconds).await?
            } else {
                let holding = hold(&server).await?;
                let measured = server.round(&load, lab.seconds).await?;
                release(&server, holding).await?;
                measured
            };
            rows[turn].rounds.push(measured);
        }
    }
    Ok(Sheet {
        name: NAME.to_owned(),
        about: "An async route of the gateway's router, on 16 connections, while nobody uses its pool, and while \
                all 64 threads are held and 256 more requests wait for one."
            .to_owned(),
        axis: None,
        yardstick: IDLE.to_owned(),
        rows,
    })
}

async fn hold(server: &Server) -> anyhow::Result<Vec<Connection>> {
    let mut holding = Vec::new();
    for _ in 0..HELD {
        let mut connection = Connection::open(server.address).await?;
        connection.send(&get("/hold")).await?;
        holding.push(connection);
    }
    sleep(SETTLING).await;
    Ok(holding)
}

/// The clients disconnect first: the requests that are still in the queue are then dropped, and do not wait for the
/// next release.
async fn release(server: &Server, holding: Vec<Connection>) -> anyhow::Result<()> {
    drop(holding);
    sleep(SETTLING).await;
    server.ask(&get("/release"), 8).await?;
    server.ask(&get("/hello"), 13).await.context("the pool is still held")?;
    Ok(())
}
