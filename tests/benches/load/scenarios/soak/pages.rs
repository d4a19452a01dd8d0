//! The results of the soak as a file, and in the book.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::charts;
use super::ledger::{self, Row};
use super::samples::Sample;

/// What a run leaves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) seconds: u64,
    pub(super) samples: Vec<Sample>,
    pub(super) rows: Vec<Row>,
    /// The figures with their limits, as Markdown.
    pub(super) report: String,
}

impl Record {
    pub(super) fn new(length: Duration, samples: Vec<Sample>, rows: Vec<Row>) -> Self {
        Self { seconds: length.as_secs(), samples, rows, report: String::new() }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("soak.json")
}

/// Keeps the results, to be written again.
pub(super) fn save(folder: &Path, record: &Record) -> anyhow::Result<()> {
    Ok(fs::write(file(folder), serde_json::to_vec(record)?)?)
}

pub(super) fn load(folder: &Path) -> anyhow::Result<Record> {
    let bytes = fs::read(file(folder)).context("there are no results of an earlier run")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Writes the page and its charts.
pub(super) fn write(record: &Record) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("book/src/reliability");
    fs::create_dir_all(&folder)?;
    // The page has the description of the load already.
    let figures = record.report.lines().filter(|line| line.starts_with('|'));
    let mut text = format!("Measured for {} minutes.\n\n", record.seconds / 60);
    figures.for_each(|line| text.extend([line, "\n"]));
    text.extend(["\n", &ledger::table(&record.rows)]);
    for (name, title) in charts::draw(record, &folder)? {
        text.push_str(&format!("\n![{title}](reliability/{name})\n"));
    }
    fs::write(folder.join("soak.md"), text)?;
    Ok(())
}
