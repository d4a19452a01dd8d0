//! The targets of the gateway. Every ratio compares two turns of the same round, and the median of the rounds counts.

use super::results::{Figure, Round, Row, Sheet, Spread};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A target, and the measured value.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) unit: &'static str,
    /// `None` if this run did not measure it; NaN if requests failed.
    pub(crate) measured: Option<Spread>,
    /// The same figure of the simplest possible substitute for the gateway, if there is one.
    pub(crate) floor: Option<Spread>,
}

impl Target {
    pub(crate) fn new(id: &'static str, what: impl Into<String>, bound: Bound, measured: Option<Spread>) -> Self {
        Self { id, what: what.into(), bound, unit: "×", measured, floor: None }
    }

    /// Adds the figure of the simplest possible substitute for the gateway.
    pub(crate) fn beside(self, floor: Option<Spread>) -> Self {
        Self { floor, ..self }
    }

    /// Whether the target is met; `None` if it was not measured.
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

/// The ratio of a figure of one contender to that of another.
pub(crate) fn ratio(sheet: Option<&Sheet>, own: &str, other: &str, figure: Figure) -> Option<Spread> {
    let sheet = sheet?;
    Some(sheet.row(own, None)?.ratio(sheet.row(other, None)?, figure))
}

/// The row of a server with the most requests per second.
pub(crate) fn best<'r>(rows: &'r [Row], server: &str) -> Option<&'r Row> {
    let own = rows.iter().filter(|row| row.name.starts_with(server));
    own.max_by(|a, b| rate(a).total_cmp(&rate(b)))
}

/// The sort key of a row; a row with failures comes last.
fn rate(row: &Row) -> f64 {
    let median = row.spread(Round::per_second).median;
    if median.is_nan() { -1.0 } else { median }
}
