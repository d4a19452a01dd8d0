//! The measured figures by round, as they are saved, and the statistics of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// One turn of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// CPU time of the server per request.
    pub(crate) cpu_us: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The peak of resident memory of the process up to the end of the round.
    pub(crate) peak_mib: f64,
    /// The number of responses with a status of 400 or above.
    pub(crate) refused: u64,
    /// The number of connection errors and timeouts.
    pub(crate) broken: u64,
}

/// Reads a figure from a round.
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
    /// The position on the axis.
    pub(crate) at: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Round>,
}

/// The statistics of a figure over all rounds.
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

    /// The average number of connections that waited for a request that was answered (Little's law). Every connection
    /// waits all the time, so the missing connections waited for requests that had no response at the end of the round,
    /// and whose latencies are in no percentile.
    pub(crate) fn answered_connections(&self) -> f64 {
        self.spread(|round| round.per_second() * round.mean_ms / 1e3).median
    }

    pub(crate) fn errors(&self) -> u64 {
        self.rounds.iter().map(|round| round.refused + round.broken).sum()
    }

    /// The statistics of a figure. They are NaN if any request failed, because the speed of failures is meaningless.
    pub(crate) fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        if self.errors() > 0 {
            return Spread::of([f64::NAN]);
        }
        Spread::of(self.rounds.iter().map(figure))
    }

    /// The statistics of the ratio to another row, round by round.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> Spread {
        if self.errors() + other.errors() > 0 {
            return Spread::of([f64::NAN]);
        }
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, others)| figure(own) / figure(others)))
    }
}

/// The rows that were measured together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) name: String,
    pub(crate) about: String,
    /// The name of the axis, if the sheet is a curve.
    pub(crate) axis: Option<String>,
    /// The row with which the other rows are compared.
    pub(crate) yardstick: String,
    pub(crate) rows: Vec<Row>,
}

impl Sheet {
    /// Finds a row by its name and position; a row without a position matches every position.
    pub(crate) fn row(&self, name: &str, at: Option<u64>) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name && (row.at == at || row.at.is_none()))
    }

    /// The row with which a row is compared.
    pub(crate) fn yardstick(&self, row: &Row) -> Option<&Row> {
        self.row(&self.yardstick, row.at)
    }

    /// The rows at one position of the axis.
    pub(crate) fn cut(&self, at: u64) -> Self {
        let here = self.rows.iter().filter(|row| row.at == Some(at));
        let rows = here.map(|row| Row { at: None, ..row.clone() }).collect();
        Self { axis: None, rows, ..self.clone() }
    }

    /// The positions on the axis.
    pub(crate) fn places(&self) -> Vec<u64> {
        let mut places: Vec<u64> = self.rows.iter().filter_map(|row| row.at).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The names of the rows, without duplicates.
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

/// A figure that is measured once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// The results of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    /// Whether all figures were measured.
    pub(crate) whole: bool,
    /// Whether the run was a quick run.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) singles: Vec<Single>,
}

impl Results {
    /// Whether the targets are judged by this run.
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
