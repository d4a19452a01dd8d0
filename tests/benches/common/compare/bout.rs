//! Rounds: each server has one turn per round, and the order is reversed from round to round.

use anyhow::Context as _;

use super::lab::Lab;
use super::plan::Plan;
use super::results::{Row, Sheet};
use crate::contender;

/// Measures all entries of a plan. Each entry has a separate process, which runs for all rounds.
pub(crate) async fn run(lab: &Lab, plan: &Plan) -> anyhow::Result<Sheet> {
    let mut servers = Vec::new();
    for entry in &plan.entries {
        let server = lab.start_on(entry.runtime, entry.contender).await?;
        server.check(&entry.load).await.with_context(|| entry.contender.title())?;
        servers.push(server);
    }
    let mut rows: Vec<Row> =
        plan.entries.iter().map(|entry| Row::new(&entry.row, entry.at, entry.load.connections)).collect();
    for round in 0..lab.rounds {
        eprintln!("{}: round {} of {}", plan.name, round + 1, lab.rounds);
        for turn in order(round, servers.len()) {
            let (server, load) = (&servers[turn], &plan.entries[turn].load);
            if round == 0 && !lab.quick {
                server.round(load, 1).await?;
            }
            let measured =
                server.round(load, lab.seconds).await.with_context(|| plan.entries[turn].contender.title())?;
            rows[turn].rounds.push(measured);
        }
    }
    Ok(Sheet {
        name: plan.name.to_owned(),
        about: plan.about.to_owned(),
        axis: plan.axis.map(str::to_owned),
        yardstick: contender::yardstick(&rows),
        rows,
    })
}

/// The order of the servers in a round.
pub(crate) fn order(round: usize, servers: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..servers).collect() } else { (0..servers).rev().collect() }
}
