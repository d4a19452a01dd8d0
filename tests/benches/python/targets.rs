//! The targets of the gateway.

use crate::compare::results::{Results, Round, Row, Sheet};
use crate::compare::target::{Bound, Target, best, cpu, ratio};
use crate::contender::{Kind, yardstick};
use crate::works::{FLASK, SLEEP, USUAL};

/// All targets, in order.
pub(crate) fn of(results: &Results) -> Vec<Target> {
    let mut targets: Vec<Target> =
        ["hello", "body", "echo", FLASK].iter().flat_map(|name| beside(results, name)).collect();
    targets.extend(threads(results));
    targets.extend(["hello", "body", "echo"].iter().flat_map(|name| inside_the_loop(results, name)));
    targets.push(fastest(results, "T8", FLASK));
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

/// Target T7: beside the servers that run the application inside their event loop, and granian.
fn inside_the_loop(results: &Results, name: &str) -> [Target; 2] {
    let sheet = results.sheet(name);
    let own = sheet.and_then(|sheet| best(&sheet.rows, Kind::Gateway.name())).map(|row| row.name.clone());
    let own = own.unwrap_or_else(|| Kind::Gateway.name().to_owned());
    let other = sheet.map_or_else(|| Kind::Granian.name().to_owned(), |sheet| yardstick(&sheet.rows));
    let measured = ratio(sheet, &own, &other, cpu);
    let cpu = Target::new("T7", format!("{name}, {own}: CPU, of {other}"), Bound::AtMost(0.65), measured);
    [fastest(results, "T7", name), cpu]
}

/// Targets T7 and T8: beside the fastest of granian, bjoern and `FastWSGI`.
fn fastest(results: &Results, id: &'static str, name: &str) -> Target {
    let sheet = results.sheet(name);
    let row = |kinds: &[Kind]| {
        let sheet = sheet?;
        let rows: Vec<Row> = kinds.iter().filter_map(|kind| best(&sheet.rows, kind.title()).cloned()).collect();
        Some(best(&rows, "")?.name.clone())
    };
    let own = row(&[Kind::Gateway]).unwrap_or_else(|| Kind::Gateway.title().to_owned());
    let other = row(&[Kind::Granian, Kind::Bjoern, Kind::FastWsgi]).unwrap_or_else(|| "the fastest".to_owned());
    let measured = ratio(sheet, &own, &other, Round::per_second);
    Target::new(id, format!("{name}, {own}: requests/s, of {other}"), Bound::AtLeast(1.0), measured)
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
