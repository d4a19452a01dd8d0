//! A run from its options to its results, which are printed, saved, judged, and written into the book.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;

use super::lab::Lab;
use super::plan::Plan;
use super::results::{Results, Sheet, Single};
use super::{bout, charts, machine, tables, wrk};
use crate::contender::Contender;
use crate::{process, stage, targets, works};

/// 1,024 connections, and a reserve for other files.
const LEAST_FILES: u64 = 2500;

const WHOLE_OR_NOTHING: &str = "the book is written from all of the results, or not at all";

/// Compares the gateway with its alternatives.
#[derive(Parser)]
pub(crate) struct Options {
    /// The work to measure; all if none is named.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    work: Vec<String>,
    /// The servers to measure, by name, or gateway-64 for one size of its pool; all if none is named.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    contender: Vec<String>,
    /// The number of turns of each server.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// The duration of a turn, in seconds.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// A smoke test: one turn of one second each, and no warm-up.
    #[arg(long)]
    quick: bool,
    /// List the work and the contenders, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Use the results of the last run, and measure nothing.
    #[arg(long)]
    render: bool,
    /// Write the results into the book.
    #[arg(long)]
    write: bool,
    /// `cargo bench` passes this option; `cargo test --all-targets` does not, and must not run the measurements.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn wants_all(&self) -> bool {
        self.work.is_empty() && self.contender.is_empty()
    }

    pub(crate) fn wants(&self, work: &str) -> bool {
        self.work.is_empty() || self.work.iter().any(|name| name == work)
    }

    fn wants_contender(&self, contender: Contender) -> bool {
        self.contender.is_empty() || self.contender.iter().any(|name| contender.is_called(name))
    }

    /// The plans of the selected work and contenders.
    fn plans(&self) -> Vec<Plan> {
        let mut plans = works::plans();
        plans.retain(|plan| self.wants(plan.name));
        for plan in &mut plans {
            plan.entries.retain(|entry| self.wants_contender(entry.contender));
        }
        plans.retain(|plan| !plan.entries.is_empty());
        plans
    }
}

/// The figures that are not measured by a plan.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) singles: Vec<Single>,
}

/// The exit code is 1 if a complete run misses a target, and 2 if the run fails.
pub(crate) fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        println!("work: {}", works::names().join(", "));
        println!("contenders: {}", names().join(", "));
        return ExitCode::SUCCESS;
    }
    if !options.bench {
        println!("nothing is measured but by cargo bench");
        return ExitCode::SUCCESS;
    }
    process::exit_code(run(&options))
}

fn names() -> Vec<String> {
    Contender::ALL.map(Contender::name).into()
}

/// Measures, prints and saves the results; returns the number of missed targets, which is 0 if the run is not complete.
fn run(options: &Options) -> anyhow::Result<usize> {
    check(options)?;
    let kept = process::target()?.join(stage::FOLDER).join("results.json");
    let (results, json) = if options.render {
        // Save the JSON text unchanged: a number that is parsed and formatted again may have a different last digit.
        let json = fs::read_to_string(&kept).context("no results of an earlier run")?;
        (serde_json::from_str(&json)?, json)
    } else {
        let results = measure(options)?;
        let json = serde_json::to_string_pretty(&results)?;
        fs::write(&kept, &json)?;
        (results, json)
    };
    let targets = targets::of(&results);
    println!(
        "{}{}{}",
        tables::setting(&results),
        tables::sheets(&results, None),
        tables::targets(&targets, results.quick)
    );
    if options.write {
        // The results of the last run may be incomplete, and such results are not written into the book.
        if !results.whole {
            bail!("{WHOLE_OR_NOTHING}");
        }
        write(&results, &json)?;
    }
    let missed = targets.iter().filter(|target| target.is_met() == Some(false)).count();
    Ok(if results.are_judged() { missed } else { 0 })
}

/// Rejects unknown names, and `--write` with a part of the results.
fn check(options: &Options) -> anyhow::Result<()> {
    let works = works::names();
    if let Some(name) = options.work.iter().find(|name| !works.contains(&name.as_str())) {
        bail!("there is no work {name:?}; there are {}", works.join(", "));
    }
    let contenders: Vec<Contender> =
        works::plans().iter().flat_map(|plan| &plan.entries).map(|entry| entry.contender).collect();
    if let Some(name) = options.contender.iter().find(|name| !contenders.iter().any(|known| known.is_called(name))) {
        bail!("there is no contender {name:?}; there are {}", names().join(", "));
    }
    if options.write && !options.wants_all() {
        bail!("{WHOLE_OR_NOTHING}");
    }
    if options.rounds == 0 || options.seconds == 0 {
        bail!("there has to be one round of one second at least");
    }
    Ok(())
}

fn measure(options: &Options) -> anyhow::Result<Results> {
    process::raise_file_limit(LEAST_FILES)?;
    let (rounds, seconds) = if options.quick { (1, 1) } else { (options.rounds, options.seconds) };
    // The runtime has one thread: while a server is under load, this program only waits.
    let alone = works::alone(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let wrk = wrk::version().await?;
        let lab = Lab::open(rounds, seconds, options.quick)?;
        let mut results = process::unless_stopped(measure_in(&lab, options)).await?;
        results.singles.extend(alone);
        results.versions.insert("wrk".to_owned(), wrk);
        Ok(results)
    })
}

/// Measures the tables first, then the other figures, then the curves.
async fn measure_in(lab: &Lab, options: &Options) -> anyhow::Result<Results> {
    let (mut tables, mut curves) = (Vec::new(), Vec::new());
    for plan in options.plans() {
        let sheet = bout::run(lab, &plan).await?;
        if sheet.axis.is_none() {
            tables.push(sheet);
            continue;
        }
        let (table, curve) = works::split(sheet);
        tables.extend(table);
        curves.push(curve);
    }
    let more = works::more(lab, options).await?;
    tables.extend(more.sheets);
    tables.extend(curves);
    Ok(Results {
        date: machine::date(),
        whole: options.wants_all(),
        quick: options.quick,
        rounds: lab.rounds,
        seconds: lab.seconds,
        machine: machine::Machine::this(),
        versions: lab.versions(),
        sheets: tables,
        singles: more.singles,
    })
}

/// Writes the results into the book.
fn write(results: &Results, json: &str) -> anyhow::Result<()> {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
    let folder = book.join(stage::PAGE);
    fs::create_dir_all(&folder)?;
    charts::draw(results, &folder)?;
    fs::write(folder.join("results.json"), format!("{}\n", json.trim_end()))?;
    // The page that includes the results is in the folder of the book.
    fs::write(folder.join("results.md"), tables::page(results, stage::PAGE))?;
    Ok(())
}
