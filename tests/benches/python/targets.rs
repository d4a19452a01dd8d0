//! The targets of the gateway.

use crate::compare::results::{Results, Round, Sheet};
use crate::compare::target::{Bound, Target, best, cpu, ratio};
use crate::contender::{Kind, yardstick};
use crate::works::{FLASK, SLEEP, USUAL};

/// All targets, in order.
pub(crate) fn of(results: &Results) -> Vec<Target> {
    let mut targets: Vec<Target> =
        ["hello", "body", "echo", FLASK].iter().flat_map(|name| beside(results, name)).collect();
    targets.extend(threads(results));
    targets
}

/// Target P10: each server with the number of threads that gives its best throughput.
fn beside(results: &Results, name: &str) -> [Target; 2] {
    let sheet = results.sheet(name);
    let rows = |sheet: &Sheet| Some((best(&sheet.rows, Kind::Gateway.name())?.name.clone(), yardstick(&sheet.rows)));
    let (own, other) = sheet.and_then(rows).unwrap_or_else(|| {
        let name = |kind: Kind| kind.name().to_owned();
        (name(Kind::Gateway), name(Kind::Granian))
    });
    let target = |figure: &str, bound, measured| {
        Target::new("P10", format!("{name}, {own}: {figure}, of {other}"), bound, measured)
    };
    [
        target("requests/s", Bound::AtLeast(1.15), ratio(sheet, &own, &other, Round::per_second)),
        target("CPU", Bound::AtMost(0.9), ratio(sheet, &own, &other, cpu)),
    ]
}

/// The maximum number of sleeps of 50 ms per second on 64 threads.
const IDEAL: f64 = 1280.0;

/// Target P11.
fn threads(results: &Results) -> [Target; 2] {
    let (few, many) = (Kind::Gateway.on(1).title(), Kind::Gateway.on(USUAL).title());
    let computing = ratio(results.sheet(FLASK), &many, &few, Round::per_second);
    let sleeping = results
        .sheet(SLEEP)
        .and_then(|sheet| sheet.row(&many, None))
        .map(|row| row.spread(|round| round.per_second() / IDEAL));
    [
        Target::new("P11", format!("{FLASK}, {many}: requests/s, of {few}"), Bound::AtLeast(0.95), computing),
        Target::new("P11", format!("{SLEEP}, {many}: requests/s, of 1,280"), Bound::AtLeast(0.95), sleeping),
    ]
}
