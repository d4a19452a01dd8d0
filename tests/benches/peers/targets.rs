//! The targets of the gateway.

use crate::allocations;
use crate::compare::results::{Results, Round, Sheet, Spread};
use crate::compare::target::{Bound, Target, best, cpu, p99, ratio};
use crate::contender::{Contender, FLOOR, GATEWAY, HOP, YARDSTICK};
use crate::held;
use crate::memory;
use crate::mixes::{MIXES, neighbour};
use crate::works::CONNECTIONS;

/// All targets, in order.
pub(crate) fn of(results: &Results) -> Vec<Target> {
    let parts: [fn(&Results) -> Vec<Target>; 14] = [
        hello,
        threads,
        streaming,
        large_bodies,
        sleeping,
        held_pool,
        connections,
        memory_calls,
        driven_hello,
        driven_bodies,
        blocking,
        mixed,
        neighbours,
        driven_memory,
    ];
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

// ── the targets of the drivers ───────────────────────────────────────────────────────────────────────────────────────

/// Targets T1 and T2.
fn driven_hello(results: &Results) -> Vec<Target> {
    let (own, yardstick) = (GATEWAY.title(), YARDSTICK.title());
    let sheet = results.sheet("connections");
    let figure = |at, figure| {
        let sheet = sheet?;
        Some(sheet.row(&own, Some(at))?.ratio(sheet.row(&yardstick, Some(at))?, figure))
    };
    let target = |at, what: &str, bound, read| {
        Target::new("T1", format!("hello, {at} connections: {what}, of {yardstick}"), bound, figure(at, read))
    };
    let mut targets: Vec<Target> = CONNECTIONS
        .into_iter()
        .flat_map(|at| {
            [
                target(at, "requests/s", Bound::AtLeast(1.0), Round::per_second as fn(&Round) -> f64),
                target(at, "CPU", Bound::AtMost(1.1), cpu),
            ]
        })
        .collect();
    let what = format!("hello, {own}: p99, of {yardstick}");
    targets.push(Target::new("T2", what, Bound::AtMost(1.2), ratio(results.sheet("hello"), &own, &yardstick, p99)));
    targets
}

/// Target T3.
fn driven_bodies(results: &Results) -> Vec<Target> {
    let (own, yardstick) = (GATEWAY.title(), YARDSTICK.title());
    let target = |name: &str, what: &str, bound, figure| {
        let measured = ratio(results.sheet(name), &own, &yardstick, figure);
        Target::new("T3", format!("{name}, {own}: {what}, of {yardstick}"), bound, measured)
    };
    let both = |name| {
        [
            target(name, "requests/s", Bound::AtLeast(1.0), Round::per_second as fn(&Round) -> f64),
            target(name, "CPU", Bound::AtMost(1.1), cpu),
        ]
    };
    ["stream", "echo", "body"].into_iter().flat_map(both).collect()
}

/// Target T4.
fn blocking(results: &Results) -> Vec<Target> {
    let sheet = results.sheet("sleep");
    let plain = Contender::Plain.title();
    let of_hop = [64, 256].map(|threads| {
        let (own, hop) = (Contender::Gateway(threads).title(), Contender::Hop(threads).title());
        let measured = ratio(sheet, &own, &hop, Round::per_second);
        Target::new("T4", format!("sleep, {own}: requests/s, of {hop}"), Bound::AtLeast(1.0), measured)
    });
    let many = Contender::Gateway(256).title();
    let of_plain = |what: &str, bound, figure| {
        Target::new("T4", format!("sleep, {many}: {what}, of {plain}"), bound, ratio(sheet, &many, &plain, figure))
    };
    let of_plain = [
        of_plain("requests/s", Bound::AtLeast(1.0), Round::per_second as fn(&Round) -> f64),
        of_plain("CPU", Bound::AtMost(0.9), cpu),
    ];
    of_hop.into_iter().chain(of_plain).collect()
}

/// Target T5.
fn mixed(results: &Results) -> Vec<Target> {
    let (own, hop, beside) = (GATEWAY.title(), HOP.title(), neighbour(GATEWAY));
    MIXES
        .iter()
        .flat_map(|mix| {
            let sheet = results.sheet(mix.name);
            let p99 = sheet.and_then(|sheet| Some(sheet.row(&beside, None)?.spread(p99)));
            let what = format!("{}, an async route beside it: p99", mix.name);
            [
                Target::new(
                    "T5",
                    format!("{}, {own}: requests/s, of {hop}", mix.name),
                    Bound::AtLeast(1.0),
                    ratio(sheet, &own, &hop, Round::per_second),
                ),
                Target { unit: " ms", ..Target::new("T5", what, Bound::AtMost(3.0), p99) },
            ]
        })
        .collect()
}

/// Target T6.
fn neighbours(results: &Results) -> Vec<Target> {
    let measured = ratio(results.sheet(held::NAME), held::BUSY, held::IDLE, p99);
    let what = "an async route while the pool is saturated: p99, of that while it is idle";
    vec![Target::new("T6", what, Bound::AtMost(1.2), measured)]
}

/// Target T9.
fn driven_memory(results: &Results) -> Vec<Target> {
    let idle = |contender| results.single(&memory::idle_name(contender));
    let measured = idle(GATEWAY).zip(idle(HOP)).map(|(own, other)| Spread::of([own / other]));
    let what = format!("memory of an idle connection, {}, of {}", GATEWAY.title(), HOP.title());
    vec![Target::new("T9", what, Bound::AtMost(1.0), measured)]
}
