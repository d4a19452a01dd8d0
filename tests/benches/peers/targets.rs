//! The targets of the gateway.

use crate::allocations;
use crate::compare::results::{Results, Round, Sheet, Spread};
use crate::compare::target::{Bound, Target, best, cpu, p99, ratio};
use crate::contender::{Contender, FLOOR, GATEWAY, YARDSTICK};
use crate::held;
use crate::memory;

/// All targets, in order.
pub(crate) fn of(results: &Results) -> Vec<Target> {
    let parts: [fn(&Results) -> Vec<Target>; 8] =
        [hello, threads, streaming, large_bodies, sleeping, held_pool, connections, memory_calls];
    parts.iter().flat_map(|part| part(results)).collect()
}

/// The gateway's row with the most requests per second.
fn own(sheet: Option<&Sheet>) -> String {
    let best = sheet.and_then(|sheet| best(&sheet.rows, "gateway"));
    best.map_or_else(|| GATEWAY.title(), |row| row.name.clone())
}

/// Target P1.
fn hello(results: &Results) -> Vec<Target> {
    let sheet = results.sheet("hello");
    let own = own(sheet);
    let (yardstick, plain) = (YARDSTICK.title(), Contender::Plain.title());
    let floor = FLOOR.title();
    let target = |what, bound, figure, other: &String| {
        Target::new("P1", what, bound, ratio(sheet, &own, other, figure)).beside(ratio(sheet, &floor, other, figure))
    };
    let what = |figure: &str, other: &str| format!("hello, {own}: {figure}, of {other}");
    vec![
        target(what("requests/s", &yardstick), Bound::AtLeast(0.95), Round::per_second, &yardstick),
        target(what("CPU", &yardstick), Bound::AtMost(1.30), cpu, &yardstick),
        target(what("requests/s", &plain), Bound::AtLeast(1.5), Round::per_second, &plain),
        target(what("CPU", &plain), Bound::AtMost(0.65), cpu, &plain),
    ]
}

/// Target P2.
fn threads(results: &Results) -> Vec<Target> {
    let (sheet, own, yardstick) = (results.sheet("hello"), GATEWAY.title(), YARDSTICK.title());
    let best = self::own(sheet);
    vec![
        Target::new(
            "P2",
            format!("hello, {own}: p99, of {yardstick}"),
            Bound::AtMost(2.0),
            ratio(sheet, &own, &yardstick, p99),
        )
        .beside(ratio(sheet, &FLOOR.title(), &yardstick, p99)),
        Target::new(
            "P2",
            format!("hello, {own}: requests/s, of the best, {best}"),
            Bound::AtLeast(0.95),
            ratio(sheet, &own, &best, Round::per_second),
        ),
    ]
}

/// Targets P3 and P4.
fn streaming(results: &Results) -> Vec<Target> {
    let (own, yardstick) = (GATEWAY.title(), YARDSTICK.title());
    [("P3", "stream", 0.95), ("P4", "echo", 0.9)]
        .map(|(id, name, least)| {
            let reached = |who: &str| ratio(results.sheet(name), who, &yardstick, Round::per_second);
            // The lower bound of a streamed body does not apply to a body of one piece.
            let floor = (id == "P4").then(|| reached(&FLOOR.title())).flatten();
            Target::new(id, format!("{name}, {own}: requests/s, of {yardstick}"), Bound::AtLeast(least), reached(&own))
                .beside(floor)
        })
        .into()
}

/// Target P5.
fn large_bodies(results: &Results) -> Vec<Target> {
    let target = |name: &str| {
        let measured = results.single(name).map(|value| Spread::of([value]));
        Target { unit: " MiB", ..Target::new("P5", name, Bound::AtMost(4.0), measured) }
    };
    vec![target(memory::UPLOAD), target(memory::DOWNLOAD)]
}

/// The maximum number of sleeps of 10 ms per second on 64 threads.
const IDEAL: f64 = 6400.0;

/// Target P6.
fn sleeping(results: &Results) -> Vec<Target> {
    let sheet = results.sheet("sleep");
    let (few, many, plain) = (GATEWAY.title(), Contender::Gateway(256).title(), Contender::Plain.title());
    let of_ideal = |who: &str| Some(sheet?.row(who, None)?.spread(|round| round.per_second() / IDEAL));
    let of_plain = |what: &str, bound, figure| {
        Target::new("P6", format!("sleep, {many}: {what}, of {plain}"), bound, ratio(sheet, &many, &plain, figure))
            .beside(ratio(sheet, &Contender::Bare(256).title(), &plain, figure))
    };
    vec![
        Target::new("P6", format!("sleep, {few}: requests/s, of 6,400"), Bound::AtLeast(0.97), of_ideal(&few))
            .beside(of_ideal(&Contender::Bare(64).title())),
        of_plain("requests/s", Bound::AtLeast(1.0), Round::per_second),
        of_plain("CPU", Bound::AtMost(1.0), cpu),
    ]
}

/// Target P7.
fn held_pool(results: &Results) -> Vec<Target> {
    let measured = ratio(results.sheet(held::NAME), held::BUSY, held::IDLE, p99);
    let what = "an async route while the pool is saturated: p99, of that while it is idle";
    vec![Target::new("P7", what, Bound::AtMost(1.5), measured)]
}

/// Target P9.
fn memory_calls(results: &Results) -> Vec<Target> {
    let count = |server: &str| results.single(&allocations::name(server));
    let (own, yardstick) = (GATEWAY.title(), YARDSTICK.title());
    let beyond = count(&own).zip(count(&yardstick)).map(|(own, other)| Spread::of([own - other]));
    let what = format!("hello, {own}: allocations beyond those of {yardstick}");
    vec![Target { unit: "", ..Target::new("P9", what, Bound::AtMost(8.0), beyond) }]
}

/// Target P8.
fn connections(results: &Results) -> Vec<Target> {
    let own = GATEWAY.title();
    let rates = |who: &str| {
        let sheet = results.sheet("connections")?;
        let (few, many) = (sheet.row(who, Some(16))?, sheet.row(who, Some(1024))?);
        Some(many.ratio(few, Round::per_second))
    };
    let idle = |contender| results.single(&memory::idle_name(contender));
    let memory = idle(GATEWAY).zip(idle(YARDSTICK)).map(|(own, other)| Spread::of([own / other]));
    vec![
        Target::new(
            "P8",
            format!("hello, {own}: requests/s on 1,024 connections, of those on 16"),
            Bound::AtLeast(0.85),
            rates(&own),
        )
        .beside(rates(&FLOOR.title())),
        Target::new(
            "P8",
            format!("memory of an idle connection, {own}, of {}", YARDSTICK.title()),
            Bound::AtMost(1.0),
            memory,
        ),
    ]
}
