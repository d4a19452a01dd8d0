//! What the clients have seen of their requests, and what the server has counted, by mount.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::report::{Limit, Sheet, Unit};

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// A whole response.
    Status(u16),
    /// A response that is detectably incomplete.
    Cut,
    /// The client left within the response, or the server gave it up because it took nothing.
    Left,
    /// The client left before it knew an answer.
    Vanished,
    /// No response.
    Unanswered,
}

/// The number of requests by mount and end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(BTreeMap<(&'static str, End), u64>);

impl Ends {
    pub(super) fn count(&mut self, mount: &'static str, end: End) {
        *self.0.entry((mount, end)).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// The number of requests of a mount.
    pub(super) fn of(&self, mount: &str) -> u64 {
        self.0.iter().filter(|((known, _), _)| *known == mount).map(|(_, count)| count).sum()
    }
}

/// The place of a request: what the client has seen, and the outcomes that the server may count for it.
struct Place {
    name: &'static str,
    difference: &'static str,
    holds: fn(End) -> bool,
    outcomes: &'static [&'static str],
}

/// A framework has made a page of its application's failure: for the gateway, the response is complete.
const FAILED: &str = "complete with 5xx";

const PLACES: [Place; 7] = [
    Place {
        name: "answered with 200",
        difference: "complete, beyond them",
        holds: |end| matches!(end, End::Status(200..400)),
        outcomes: &["complete"],
    },
    Place {
        name: "answered with 500",
        difference: "error or complete with 5xx, beyond them",
        holds: |end| end == End::Status(500),
        outcomes: &["error", FAILED],
    },
    Place {
        name: "answered with 4xx",
        difference: "client error or refused, beyond them",
        holds: |end| matches!(end, End::Status(400..500)),
        outcomes: &["client error", "refused"],
    },
    Place {
        name: "answered with 503",
        difference: "shed or expired in queue, beyond them",
        holds: |end| end == End::Status(503),
        outcomes: &["shed", "expired in queue"],
    },
    Place {
        name: "answered with 504",
        difference: "deadline, beyond them",
        holds: |end| end == End::Status(504),
        outcomes: &["deadline"],
    },
    // A client that is too slow to take a response gets it broken off, too.
    Place {
        name: "broken off, or left by the client within the response",
        difference: "aborted or client gone, beyond them",
        holds: |end| matches!(end, End::Cut | End::Left),
        outcomes: &["aborted", "client gone"],
    },
    Place {
        name: "left by the client before an answer",
        difference: "any outcome, beyond them",
        holds: |end| end == End::Vanished,
        outcomes: &[],
    },
];

/// The figures of the server, from the text that it renders for Prometheus.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// By mount and outcome.
    counted: BTreeMap<(String, String), u64>,
    /// All lines without braces, and those of the pool.
    values: BTreeMap<String, f64>,
}

impl State {
    pub(super) fn parse(text: &str) -> Self {
        let mut state = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            if name == "gateway_requests_total" {
                let label = |wanted: &str| {
                    let (_, rest) = labels.split_once(&format!("{wanted}=\""))?;
                    Some(rest.split_once('"')?.0.to_owned())
                };
                if let (Some(mount), Some(mut outcome)) = (label("mount"), label("outcome")) {
                    if outcome == "complete" && label("status").is_some_and(|status| status == "5xx") {
                        FAILED.clone_into(&mut outcome);
                    }
                    *state.counted.entry((mount, outcome)).or_default() += value as u64;
                }
            } else if labels.is_empty() || name.starts_with("gateway_pool_") {
                *state.values.entry(name.to_owned()).or_default() += value;
            }
        }
        state
    }

    pub(super) fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }

    /// The number of requests by outcome.
    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for ((_, outcome), count) in &self.counted {
            *all.entry(outcome.clone()).or_default() += count;
        }
        all
    }

    fn of(&self, mount: &str, outcomes: &[&str]) -> u64 {
        let is_meant =
            |known: &str, outcome: &str| known == mount && (outcomes.is_empty() || outcomes.contains(&outcome));
        self.counted.iter().filter(|((known, outcome), _)| is_meant(known, outcome)).map(|(_, count)| count).sum()
    }
}

/// One mount in the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    mount: String,
    sent: u64,
    seen: String,
    counted: String,
}

/// Puts the sums into the sheet. Of each place, the server has to have counted as many requests as the clients have
/// seen, for each mount.
pub(super) fn compare(ends: &Ends, state: &State, sheet: &mut Sheet) {
    let count = |value: u64| value as f64;
    let sent: u64 = ends.0.values().sum();
    let counted: u64 = state.counted.values().sum();
    let none = Limit::Exactly(0.0);
    sheet.put("requests sent", count(sent), Unit::Count, Limit::None);
    sheet.put("counted by the server, beyond them", count(counted) - count(sent), Unit::Count, none);
    // In them, an outcome does not tell what the client has seen.
    let vanishing: BTreeSet<&str> =
        ends.0.keys().filter(|(_, end)| *end == End::Vanished).map(|(mount, _)| *mount).collect();
    for place in &PLACES {
        let (mut seen, mut difference) = (0, 0.0);
        for mount in mounts(ends, state) {
            if vanishing.contains(&*mount) != place.outcomes.is_empty() {
                continue;
            }
            let here: u64 = ends
                .0
                .iter()
                .filter(|((known, end), _)| *known == mount && (place.holds)(*end))
                .map(|(_, count)| count)
                .sum();
            seen += here;
            // Without a sign, so that mounts do not make up for each other.
            difference += (count(state.of(&mount, place.outcomes)) - count(here)).abs();
        }
        sheet.put(place.name, count(seen), Unit::Count, Limit::AtLeast(1.0));
        sheet.put(place.difference, difference, Unit::Count, none);
    }
    let (mut left, mut other, mut slow) = (0, 0, 0);
    for mount in mounts(ends, state).iter().filter(|mount| !vanishing.contains(mount.as_str())) {
        let here = ends.0.iter().filter(|((known, end), _)| known == mount && *end == End::Left);
        let (here, gone) = (here.map(|(_, count)| count).sum::<u64>(), state.of(mount, &["client gone"]));
        left += here;
        other += here.saturating_sub(gone);
        slow += gone.saturating_sub(here);
    }
    sheet.put("of them left by the client", count(left), Unit::Count, Limit::AtLeast(1.0));
    sheet.put("of these not client gone", count(other), Unit::Count, none);
    sheet.put("broken off for clients that took nothing in time", count(slow), Unit::Count, Limit::None);
    let unanswered = ends.0.iter().filter(|((_, end), _)| *end == End::Unanswered).map(|(_, count)| count).sum();
    sheet.put("without an answer", count(unanswered), Unit::Count, none);
    // The pool counts by itself. A request whose deadline passes in the queue has expired there, too.
    let outcomes = state.outcomes();
    let of = |outcome: &str| count(outcomes.get(outcome).copied().unwrap_or(0));
    let pairs = [
        ("shed by the pool, beyond the requests", "gateway_pool_shed_total", "shed", none),
        ("cancelled in the pool, beyond the requests", "gateway_pool_cancelled_total", "cancelled in queue", none),
        (
            "expired in the pool, beyond the requests",
            "gateway_pool_expired_total",
            "expired in queue",
            Limit::Between(0.0, of("deadline")),
        ),
    ];
    for (name, of_pool, outcome, limit) in pairs {
        sheet.put(name, state.value(of_pool) - of(outcome), Unit::Count, limit);
    }
}

/// Each mount with what the clients have seen, and what the server has counted.
pub(super) fn rows(ends: &Ends, state: &State) -> Vec<Row> {
    let list = |items: Vec<String>| items.join(", ");
    mounts(ends, state)
        .into_iter()
        .map(|mount| {
            let seen = ends.0.iter().filter(|((known, _), _)| *known == mount);
            let counted = state.counted.iter().filter(|((known, _), _)| *known == mount);
            Row {
                sent: ends.of(&mount),
                seen: list(seen.map(|((_, end), count)| format!("{} {count}", end.name())).collect()),
                counted: list(counted.map(|((_, outcome), count)| format!("{outcome} {count}")).collect()),
                mount,
            }
        })
        .collect()
}

/// The rows as Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text =
        "| mount | requests | seen by the clients | counted by the server |\n|---|---:|---|---|\n".to_owned();
    for Row { mount, sent, seen, counted } in rows {
        let _ = writeln!(text, "| {mount} | {sent} | {seen} | {counted} |");
    }
    text
}

fn mounts(ends: &Ends, state: &State) -> BTreeSet<String> {
    let seen = ends.0.keys().map(|(mount, _)| (*mount).to_owned());
    seen.chain(state.counted.keys().map(|(mount, _)| mount.clone())).collect()
}

impl End {
    fn name(self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Cut => "broken off".to_owned(),
            Self::Left => "left".to_owned(),
            Self::Vanished => "left unanswered".to_owned(),
            Self::Unanswered => "unanswered".to_owned(),
        }
    }
}
