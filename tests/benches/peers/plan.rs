//! What is measured: the kinds of work, and the curves.

use std::num::NonZero;
use std::thread;

use crate::contender::{Contender, GATEWAY, YARDSTICK};

/// What wrk asks of one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// How many fields of 16 bytes the request has beside its own.
    pub(crate) fields: usize,
    /// How long its body is.
    pub(crate) body: usize,
    /// From how many rows it chooses one.
    pub(crate) rows: usize,
    /// How long the body of a right answer is.
    pub(crate) answer: u64,
}

impl Load {
    fn new(path: &str, answer: u64) -> Self {
        Self { path: path.to_owned(), connections: 64, fields: 0, body: 0, rows: 0, answer }
    }

    fn hello() -> Self {
        Self::new("/hello", 13)
    }

    fn headers(fields: usize) -> Self {
        let sum = (fields * 16).to_string();
        Self { fields, ..Self::new(&format!("/headers?n={fields}"), sum.len() as u64) }
    }

    pub(crate) fn on(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// For a route that is the gateway's alone, or axum's beside it.
    pub(crate) fn beside() -> Self {
        Self::new("/async", 13).on(16)
    }
}

/// One server under one load.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) contender: Contender,
    /// What the tables call it.
    pub(crate) row: String,
    /// Where on the axis of a curve it is.
    pub(crate) at: Option<u64>,
    /// How many threads its runtime has, if not as many as there are processors.
    pub(crate) runtime: Option<usize>,
    pub(crate) load: Load,
}

/// What is measured together, in alternating rounds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What grows, if something does.
    pub(crate) axis: Option<&'static str>,
    pub(crate) entries: Vec<Entry>,
}

impl Plan {
    fn table(name: &'static str, about: &'static str, load: &Load) -> Self {
        let entries = Contender::ALL.map(|contender| entry(contender, None, load.clone()));
        Self { name, about, axis: None, entries: entries.into() }
    }

    /// The gateway beside the yardstick, at each point.
    fn curve(name: &'static str, about: &'static str, axis: &'static str, points: Vec<(usize, Load)>) -> Self {
        let entries = points.into_iter().flat_map(|(at, load)| {
            [YARDSTICK, GATEWAY].map(|contender| entry(contender, Some(at as u64), load.clone()))
        });
        Self { name, about, axis: Some(axis), entries: entries.collect() }
    }
}

fn entry(contender: Contender, at: Option<u64>, load: Load) -> Entry {
    Entry { contender, row: contender.title(), at, runtime: None, load }
}

/// Where a table of `hello` is cut out of its curve.
pub(crate) const USUAL_CONNECTIONS: u64 = 64;

pub(crate) fn all() -> Vec<Plan> {
    vec![
        hello(),
        Plan::table("body", "10 KiB, known at once.", &Load::new("/body", 10 << 10)),
        Plan::table(
            "echo",
            "10 KiB by POST, read to the end and sent back.",
            &Load { body: 10 << 10, ..Load::new("/echo", 10 << 10) },
        ),
        Plan::table(
            "stream",
            "1 MiB in 16 chunks of 64 KiB, of no known length, on 16 connections.",
            &Load::new("/stream", 1 << 20).on(16),
        ),
        Plan::table("headers", "20 request headers of 16 bytes, each read by its name.", &Load::headers(20)),
        Plan::table(
            "query",
            "A row of an SQLite table, found by its number, on a connection of the thread.",
            &Load { rows: 10_000, ..Load::new("/query", 29) },
        ),
        sleep(),
        threads(),
        runtime(),
        Plan::curve(
            "header-count",
            "Request headers of 16 bytes, all of them read.",
            "headers",
            [0, 10, 20, 40, 80].map(|count| (count, Load::headers(count))).into(),
        ),
        Plan::curve(
            "body-size",
            "Response bodies that are known at once.",
            "KiB",
            [1, 4, 16, 64, 256, 1024, 4096]
                .map(|size| (size, Load::new(&format!("/body?n={}", size << 10), (size << 10) as u64)))
                .into(),
        ),
    ]
}

fn hello() -> Plan {
    let entries = [16, USUAL_CONNECTIONS, 256, 1024].into_iter().flat_map(|connections| {
        Contender::ALL.map(|contender| entry(contender, Some(connections), Load::hello().on(connections as usize)))
    });
    Plan { name: "hello", about: "13 bytes.", axis: Some("connections"), entries: entries.collect() }
}

fn sleep() -> Plan {
    let load = Load::new("/sleep", 13).on(256);
    let mut plan = Plan::table("sleep", "10 ms of sleep, and 13 bytes; on 256 connections.", &load);
    plan.entries.push(entry(Contender::Gateway(256), None, load));
    plan
}

fn threads() -> Plan {
    let mut entries = vec![entry(YARDSTICK, None, Load::hello())];
    entries.extend([1, 2, 4, 8, 16, 32, 64, 128, 256].map(|threads| Entry {
        row: "gateway".to_owned(),
        ..entry(Contender::Gateway(threads), Some(threads as u64), Load::hello())
    }));
    let about = "The 13 bytes of hello, by pools of different size; async axum has no such pool.";
    Plan { name: "threads", about, axis: Some("threads"), entries }
}

/// The processors are the runtime's and the handlers' together.
fn runtime() -> Plan {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sizes = vec![1, processors.div_ceil(2), processors];
    sizes.dedup();
    let entries = sizes.into_iter().flat_map(|threads| {
        [YARDSTICK, Contender::Plain, GATEWAY]
            .map(|contender| Entry { runtime: Some(threads), ..entry(contender, Some(threads as u64), Load::hello()) })
    });
    let about = "The 13 bytes of hello, on runtimes of different size (`TOKIO_WORKER_THREADS`).";
    Plan { name: "runtime", about, axis: Some("runtime threads"), entries: entries.collect() }
}
