//! What was measured, round by round, as it is kept; and what follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// One turn of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// Processor time of the server for each request.
    pub(crate) cpu_us: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The most memory that the process had resident until then.
    pub(crate) peak_mib: f64,
    /// Responses of 400 and above.
    pub(crate) refused: u64,
    /// Failures of connections, and timeouts.
    pub(crate) broken: u64,
}

/// How a figure is read off a turn.
pub(crate) type Figure = fn(&Round) -> f64;

impl Round {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// The rounds of one server under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Where on the axis it is.
    pub(crate) at: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Round>,
}

/// A figure of all rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return Self { median: f64::NAN, low: f64::NAN, high: f64::NAN };
        };
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self { median, low, high }
    }
}

impl Row {
    pub(crate) fn new(name: &str, at: Option<u64>, connections: usize) -> Self {
        Self { name: name.to_owned(), at, connections, rounds: Vec::new() }
    }

    /// How many connections, on average, waited for what was answered (Little's law). Every connection waits all the
    /// time, so those that are missing waited for what had no answer by the end, and are in no percentile.
    pub(crate) fn answered_connections(&self) -> f64 {
        self.spread(|round| round.per_second() * round.mean_ms / 1e3).median
    }

    pub(crate) fn errors(&self) -> u64 {
        self.rounds.iter().map(|round| round.refused + round.broken).sum()
    }

    /// What it did in all rounds. Where anything failed, that is no number: speed at failing is none.
    pub(crate) fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        if self.errors() > 0 {
            return Spread::of([f64::NAN]);
        }
        Spread::of(self.rounds.iter().map(figure))
    }

    /// What it did as a part of what another did in the same round.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> Spread {
        if self.errors() + other.errors() > 0 {
            return Spread::of([f64::NAN]);
        }
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, others)| figure(own) / figure(others)))
    }
}

/// What was measured together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) name: String,
    pub(crate) about: String,
    /// What grows, if something does.
    pub(crate) axis: Option<String>,
    /// The row that the others are held against.
    pub(crate) yardstick: String,
    pub(crate) rows: Vec<Row>,
}

impl Sheet {
    /// A row by its name and place; one that has no place is everywhere.
    pub(crate) fn row(&self, name: &str, at: Option<u64>) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name && (row.at == at || row.at.is_none()))
    }

    /// What a row is held against.
    pub(crate) fn yardstick(&self, row: &Row) -> Option<&Row> {
        self.row(&self.yardstick, row.at)
    }

    /// The part at one place of the axis.
    pub(crate) fn cut(&self, at: u64) -> Self {
        let here = self.rows.iter().filter(|row| row.at == Some(at));
        let rows = here.map(|row| Row { at: None, ..row.clone() }).collect();
        Self { axis: None, rows, ..self.clone() }
    }

    /// The places on the axis.
    pub(crate) fn places(&self) -> Vec<u64> {
        let mut places: Vec<u64> = self.rows.iter().filter_map(|row| row.at).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The names of the rows, each once.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.name.as_str()) {
                names.push(&row.name);
            }
        }
        names
    }
}

/// A figure that is taken once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// A run of the harness.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    /// Whether everything was measured.
    pub(crate) whole: bool,
    /// Whether it was in haste.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) singles: Vec<Single>,
}

impl Results {
    /// Whether the gateway is held to its targets by this run.
    pub(crate) fn are_judged(&self) -> bool {
        self.whole && !self.quick
    }

    pub(crate) fn sheet(&self, name: &str) -> Option<&Sheet> {
        self.sheets.iter().find(|sheet| sheet.name == name)
    }

    pub(crate) fn single(&self, name: &str) -> Option<f64> {
        self.singles.iter().find(|single| single.name == name).map(|single| single.value)
    }
}
