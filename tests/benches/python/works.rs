//! The measurements: the kinds of work, and the curves.

use std::num::NonZero;
use std::thread;

use crate::compare::harness::{Found, Options};
use crate::compare::lab::Lab;
use crate::compare::plan::{Entry, Load, Plan};
use crate::compare::results::{Sheet, Single};
use crate::contender::{Contender, Kind};

/// The default number of threads of the gateway, and the number of threads of all servers for `sleep`.
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

/// Only the number of threads matters for this work, so all servers have the same number.
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

/// The gateway and granian at each point of the axis.
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

/// The runtime and Python share the CPUs.
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

/// No table is taken from a curve.
pub(crate) fn split(curve: Sheet) -> (Option<Sheet>, Sheet) {
    (None, curve)
}

/// No figure is counted without a server.
pub(crate) fn alone(_: &Options) -> anyhow::Result<Vec<Single>> {
    Ok(Vec::new())
}

/// All figures are measured by plans.
pub(crate) async fn more(_: &Lab, _: &Options) -> anyhow::Result<Found> {
    Ok(Found::default())
}
