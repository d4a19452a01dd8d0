//! What the gateway is held to, one by one. Every ratio is that of two turns in the same round, and the median of the
//! rounds counts.

use super::results::{Figure, Round, Row, Sheet, Spread};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One target, and what was measured.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) unit: &'static str,
    /// Absent if this run has not measured it; no number if something failed.
    pub(crate) measured: Option<Spread>,
    /// The same of the plainest thing that could be in the gateway's place, where there is one.
    pub(crate) floor: Option<Spread>,
}

impl Target {
    pub(crate) fn new(id: &'static str, what: impl Into<String>, bound: Bound, measured: Option<Spread>) -> Self {
        Self { id, what: what.into(), bound, unit: "×", measured, floor: None }
    }

    /// Tells what the plainest thing in the gateway's place reaches.
    pub(crate) fn beside(self, floor: Option<Spread>) -> Self {
        Self { floor, ..self }
    }

    /// Whether it is met; `None` if that was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let median = self.measured?.median;
        Some(match self.bound {
            Bound::AtLeast(least) => median >= least,
            Bound::AtMost(most) => median <= most,
        })
    }
}

pub(crate) fn cpu(round: &Round) -> f64 {
    round.cpu_us
}

pub(crate) fn p99(round: &Round) -> f64 {
    round.p99_ms
}

/// A figure of one contender as a part of that of another.
pub(crate) fn ratio(sheet: Option<&Sheet>, own: &str, other: &str, figure: Figure) -> Option<Spread> {
    let sheet = sheet?;
    Some(sheet.row(own, None)?.ratio(sheet.row(other, None)?, figure))
}

/// Of the rows of one server, the one with the most requests per second.
pub(crate) fn best<'r>(rows: &'r [Row], server: &str) -> Option<&'r Row> {
    let own = rows.iter().filter(|row| row.name.starts_with(server));
    own.max_by(|a, b| rate(a).total_cmp(&rate(b)))
}

/// A row that failed comes after all others.
fn rate(row: &Row) -> f64 {
    let median = row.spread(Round::per_second).median;
    if median.is_nan() { -1.0 } else { median }
}
