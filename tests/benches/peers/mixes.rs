//! Work of which a part blocks, with an async route of the same router beside it.

use anyhow::Context as _;

use crate::compare::bout::order;
use crate::compare::lab::Lab;
use crate::compare::plan::Load;
use crate::compare::results::{Row, Sheet};
use crate::contender::{Contender, GATEWAY, HOP};
use crate::works;

/// Some work, and what runs beside it.
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    about: &'static str,
    path: &'static str,
    /// Another mount of the same pool, under load as well.
    other: Option<&'static str>,
}

pub(crate) const MIXES: [Mix; 5] = [
    Mix { name: "tenth", about: "One in ten requests sleeps for 10 ms.", path: "/tenth", other: None },
    Mix { name: "hundredth", about: "One in a hundred requests sleeps for 10 ms.", path: "/hundredth", other: None },
    Mix { name: "compute", about: "Each request computes for 300 µs.", path: "/compute", other: None },
    Mix { name: "lock", about: "Each request computes for 20 µs under one lock.", path: "/lock", other: None },
    Mix {
        name: "two-mounts",
        about: "hello, beside a mount that sleeps for 10 ms.",
        path: "/hello",
        other: Some("/sleep"),
    },
];

/// The connections of each mount.
const CONNECTIONS: usize = 64;

/// The connections of the async route: few, so that their latency is not that of their own queue.
const BESIDE: usize = 2;

/// The name of the row of the async route beside a server's work.
pub(crate) fn neighbour(contender: Contender) -> String {
    format!("async route, {}", contender.title())
}

pub(crate) async fn run(lab: &Lab, mix: &Mix) -> anyhow::Result<Sheet> {
    let contenders = [HOP, GATEWAY];
    let load = |path: &str| Load::new(path, 13).on(CONNECTIONS);
    let (work, beside) = (load(mix.path), works::beside().on(BESIDE));
    let other = mix.other.map(load);
    let mut servers = Vec::new();
    let mut rows = Vec::new();
    for contender in contenders {
        let server = lab.start(contender).await?;
        server.check(&work).await.with_context(|| contender.title())?;
        servers.push(server);
        rows.push(Row::new(&contender.title(), None, CONNECTIONS));
    }
    rows.extend(contenders.map(|contender| Row::new(&neighbour(contender), None, BESIDE)));
    for round in 0..lab.rounds {
        eprintln!("{}: round {} of {}", mix.name, round + 1, lab.rounds);
        for turn in order(round, servers.len()) {
            let server = &servers[turn];
            if round == 0 && !lab.quick {
                server.round(&work, 1).await?;
            }
            let others = async {
                match &other {
                    Some(load) => server.round(load, lab.seconds).await.map(drop),
                    None => Ok(()),
                }
            };
            let (own, neighbours, others) =
                tokio::join!(server.round(&work, lab.seconds), server.round(&beside, lab.seconds), others);
            others?;
            rows[turn].rounds.push(own?);
            rows[servers.len() + turn].rounds.push(neighbours?);
        }
    }
    let about = format!(
        "{} On {CONNECTIONS} connections; an async route of the same router is under load on {BESIDE} others. The \
         processor time is that of the whole server.",
        mix.about
    );
    let name = mix.name.to_owned();
    Ok(Sheet { name, about, axis: None, yardstick: HOP.title(), rows })
}
