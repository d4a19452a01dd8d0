//! The measurements: the kinds of work, and the curves.

use std::num::NonZero;
use std::thread;

use crate::compare::harness::{Found, Options};
use crate::compare::lab::Lab;
use crate::compare::plan::{Entry, Load, Plan};
use crate::compare::results::{Sheet, Single};
use crate::contender::{Contender, FLOOR, GATEWAY, YARDSTICK};
use crate::mixes::MIXES;
use crate::{allocations, held, memory, mixes};

/// The load of a route that only the gateway has, or only axum.
pub(crate) fn beside() -> Load {
    Load::new("/async", 13).on(16)
}

fn hello_load() -> Load {
    Load::new("/hello", 13)
}

fn headers_load(fields: usize) -> Load {
    let sum = (fields * 16).to_string();
    Load { fields, ..Load::new(&format!("/headers?n={fields}"), sum.len() as u64) }
}

/// The number of connections at which the table of `hello` is taken from its curve.
const USUAL_CONNECTIONS: u64 = 64;

/// The numbers of connections of the curve of `hello`.
pub(crate) const CONNECTIONS: [u64; 5] = [1, 16, USUAL_CONNECTIONS, 256, 1024];

pub(crate) fn names() -> Vec<&'static str> {
    let plans = plans().into_iter().map(|plan| plan.name);
    let mixes = MIXES.iter().map(|mix| mix.name);
    plans.chain(mixes).chain([held::NAME, memory::LARGE, memory::IDLE, allocations::NAME]).collect()
}

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        hello(),
        table("body", "10 KiB, known at once.", &Load::new("/body", 10 << 10)),
        table(
            "echo",
            "10 KiB by POST, read to the end and sent back.",
            &Load { body: 10 << 10, ..Load::new("/echo", 10 << 10) },
        ),
        table(
            "stream",
            "1 MiB in 16 chunks of 64 KiB, of no known length, on 16 connections.",
            &Load::new("/stream", 1 << 20).on(16),
        ),
        table("headers", "20 request headers of 16 bytes, each read by its name.", &headers_load(20)),
        table(
            "query",
            "A row of an SQLite table, found by its number, on a connection of the thread.",
            &Load { rows: 10_000, ..Load::new("/query", 29) },
        ),
        sleep(),
        threads(),
        runtime(),
        curve(
            "header-count",
            "Request headers of 16 bytes, all of them read.",
            "headers",
            [0, 10, 20, 40, 80].map(|count| (count, headers_load(count))).into(),
        ),
        curve(
            "body-size",
            "Response bodies that are known at once.",
            "KiB",
            [1, 4, 16, 64, 256, 1024, 4096]
                .map(|size| (size, Load::new(&format!("/body?n={}", size << 10), (size << 10) as u64)))
                .into(),
        ),
    ]
}

fn table(name: &'static str, about: &'static str, load: &Load) -> Plan {
    Plan::table(name, about, Contender::ALL, load)
}

/// The gateway and the yardstick at each point of the axis.
fn curve(name: &'static str, about: &'static str, axis: &'static str, points: Vec<(usize, Load)>) -> Plan {
    let entries = points.into_iter().flat_map(|(at, load)| {
        [YARDSTICK, GATEWAY].map(|contender| Entry::new(contender, Some(at as u64), load.clone()))
    });
    Plan { name, about, axis: Some(axis), entries: entries.collect() }
}

fn hello() -> Plan {
    let entries = CONNECTIONS.into_iter().flat_map(|connections| {
        let load = hello_load().on(connections as usize);
        Contender::ALL.map(|contender| Entry::new(contender, Some(connections), load.clone()))
    });
    Plan { name: "hello", about: "13 bytes.", axis: Some("connections"), entries: entries.collect() }
}

fn sleep() -> Plan {
    let load = Load::new("/sleep", 13).on(256);
    let mut plan = table("sleep", "10 ms of sleep, and 13 bytes; on 256 connections.", &load);
    // With one thread and a queue that rejects nothing, no request is answered within a turn.
    plan.entries.retain(|entry| entry.contender != FLOOR);
    plan.entries.extend([
        Entry::new(Contender::Gateway(256), None, load.clone()),
        Entry::new(Contender::Hop(256), None, load.clone()),
        Entry::new(Contender::Bare(64), None, load.clone()),
        Entry::new(Contender::Bare(256), None, load),
    ]);
    plan
}

fn threads() -> Plan {
    let mut entries = vec![Entry::new(YARDSTICK, None, hello_load())];
    entries.extend([1, 2, 4, 8, 16, 32, 64, 128, 256].map(|threads| Entry {
        row: "gateway".to_owned(),
        ..Entry::new(Contender::Gateway(threads), Some(threads as u64), hello_load())
    }));
    let about = "The 13 bytes of hello, by pools of different size; async axum has no such pool.";
    Plan { name: "threads", about, axis: Some("threads"), entries }
}

/// The runtime and the handlers share the CPUs.
fn runtime() -> Plan {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sizes = vec![1, processors.div_ceil(2), processors];
    sizes.dedup();
    let entries = sizes.into_iter().flat_map(|threads| {
        [YARDSTICK, Contender::Plain, GATEWAY].map(|contender| Entry {
            runtime: Some(threads),
            ..Entry::new(contender, Some(threads as u64), hello_load())
        })
    });
    let about = "The 13 bytes of hello, on runtimes of different size (`TOKIO_WORKER_THREADS`).";
    Plan { name: "runtime", about, axis: Some("runtime threads"), entries: entries.collect() }
}

/// Splits a sheet into a table that is taken from a curve, if any, and the curve.
pub(crate) fn split(mut curve: Sheet) -> (Option<Sheet>, Sheet) {
    let table = (curve.name == "hello").then(|| curve.cut(USUAL_CONNECTIONS));
    if table.is_some() {
        "connections".clone_into(&mut curve.name);
    }
    (table, curve)
}

/// The figures that are counted without a server.
pub(crate) fn alone(options: &Options) -> anyhow::Result<Vec<Single>> {
    if options.wants(allocations::NAME) { allocations::measure() } else { Ok(Vec::new()) }
}

/// The figures that are not measured by a plan.
pub(crate) async fn more(lab: &Lab, options: &Options) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for mix in MIXES.iter().filter(|mix| options.wants(mix.name)) {
        found.sheets.push(mixes::run(lab, mix).await?);
    }
    if options.wants(held::NAME) {
        found.sheets.push(held::run(lab).await?);
    }
    if options.wants(memory::LARGE) {
        found.singles.extend(memory::large(lab).await?);
    }
    if options.wants(memory::IDLE) {
        found.singles.extend(memory::idle(lab).await?);
    }
    Ok(found)
}
