//! What is measured: the kinds of work, and the curves.

use std::num::NonZero;
use std::thread;

use crate::compare::harness::{Found, Options};
use crate::compare::lab::Lab;
use crate::compare::plan::{Entry, Load, Plan};
use crate::compare::results::{Sheet, Single};
use crate::contender::{Contender, Kind};

/// The threads that the gateway has by itself, and that all have for `sleep`.
pub(crate) const USUAL: usize = 64;

pub(crate) const FLASK: &str = "flask";
pub(crate) const SLEEP: &str = "sleep";

pub(crate) fn names() -> Vec<&'static str> {
    plans().into_iter().map(|plan| plan.name).collect()
}

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::table("hello", "13 bytes.", Contender::ALL, &hello()),
        Plan::table("body", "10 KiB, known at once.", Contender::ALL, &Load::new("/body", 10 << 10)),
        Plan::table(
            "echo",
            "10 KiB by POST, read to the end and sent back.",
            Contender::ALL,
            &Load { body: 10 << 10, ..Load::new("/echo", 10 << 10) },
        ),
        Plan::table(FLASK, "The 13 bytes by Flask.", Contender::ALL.map(Contender::with_flask), &hello()),
        sleep(),
        threads(),
        runtime(),
    ]
}

fn hello() -> Load {
    Load::new("/hello", 13)
}

/// Threads are all that counts, so that all have the same.
fn sleep() -> Plan {
    let kinds = [
        Kind::Granian,
        Kind::Gunicorn,
        Kind::Waitress,
        Kind::Uwsgi,
        Kind::UwsgiRouted,
        Kind::Cheroot,
        Kind::Twisted,
        Kind::Gateway,
    ];
    let about =
        "50 ms of sleep, and 13 bytes; on 256 connections, with 64 threads each, which can do it 1,280 times a second.";
    Plan::table(SLEEP, about, kinds.map(|kind| kind.on(USUAL)), &Load::new("/sleep", 13).on(256))
}

/// The two at each point.
fn curve(
    name: &'static str,
    about: &'static str,
    axis: &'static str,
    points: &[usize],
    entry: impl Fn(Kind, usize) -> Entry,
) -> Plan {
    let points = points.iter().flat_map(|&at| [(Kind::Granian, at), (Kind::Gateway, at)]);
    Plan { name, about, axis: Some(axis), entries: points.map(|(kind, at)| entry(kind, at)).collect() }
}

fn threads() -> Plan {
    let about = "The 13 bytes by Flask, by the number of threads that call it, of which one at a time can run Python.";
    curve("threads", about, "threads", &[1, 2, 4, 8, 16, USUAL], |kind, threads| Entry {
        row: kind.name().to_owned(),
        ..Entry::new(kind.on(threads).with_flask(), Some(threads as u64), hello())
    })
}

/// The processors are the runtime's and Python's together.
fn runtime() -> Plan {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sizes = vec![1, processors.div_ceil(2), processors];
    sizes.dedup();
    let about = "The 13 bytes of hello, on runtimes of different size (`--runtime-threads` of granian, which has 1 by itself; \
                 `TOKIO_WORKER_THREADS` of the gateway, which has one for each processor unless it is set, as it is in all other tables).";
    curve("runtime", about, "runtime threads", &sizes, |kind, runtime| {
        let contender = kind.on(if kind == Kind::Granian { 1 } else { USUAL });
        Entry { runtime: Some(runtime), ..Entry::new(contender, Some(runtime as u64), hello()) }
    })
}

/// No table is cut out of a curve.
pub(crate) fn split(curve: Sheet) -> (Option<Sheet>, Sheet) {
    (None, curve)
}

/// Nothing is counted without a server.
pub(crate) fn alone(_: &Options) -> anyhow::Result<Vec<Single>> {
    Ok(Vec::new())
}

/// Everything is in a plan.
pub(crate) async fn more(_: &Lab, _: &Options) -> anyhow::Result<Found> {
    Ok(Found::default())
}
