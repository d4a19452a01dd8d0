//! Runs servers under load and under attack, as separate processes on loopback. The report shows each figure of the
//! gateway with its limit and with the figures of other servers under the same load in the same run. The exit code is 1
//! if the gateway misses a limit, and 2 if the run fails.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench load                        # all scenarios
//! cargo bench -p gateway-tests --bench load -- overload panics     # two scenarios
//! cargo bench -p gateway-tests --bench load -- --quick --alone     # short, the gateway only
//! ```
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

#[path = "../common/client.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod client;
#[path = "../common/dice.rs"]
mod dice;
mod frames;
mod haproxy;
mod lab;
#[path = "../common/nginx.rs"]
mod nginx;
mod probe;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod process;
mod report;
mod scenarios;
#[path = "../common/venv.rs"]
mod venv;

use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, bail};
use clap::Parser;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::lab::{Contender, Lab};
use crate::scenarios::Scenario;

/// Two servers with a thousand connections each, and a reserve for other files.
const LEAST_FILES: u64 = 2500;

/// Measures the gateway under load.
#[derive(Parser)]
struct Options {
    /// The scenarios to run; all if none is named.
    scenarios: Vec<String>,
    /// Smaller loads, of about ten seconds per scenario.
    #[arg(long)]
    quick: bool,
    /// Measure the gateway only.
    #[arg(long)]
    alone: bool,
    /// The duration of `soak`, in minutes; `soak` runs only if it is named.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Put the results of `soak` into the book.
    #[arg(long)]
    write: bool,
    /// Put the results of the last `soak` into the book, and measure nothing.
    #[arg(long)]
    render: bool,
    /// List the scenarios and run none.
    #[arg(long)]
    list: bool,
    /// `cargo bench` passes this option; `cargo test --all-targets` does not, and must not run the scenarios.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for scenario in scenarios::ALL {
            println!("{}", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    if !options.bench {
        println!("nothing is measured but by cargo bench");
        return ExitCode::SUCCESS;
    }
    process::exit_code(measure(&options).inspect(|missed| println!("Bars missed: {missed}.")))
}

/// Returns the number of missed limits.
fn measure(options: &Options) -> anyhow::Result<usize> {
    let files = process::raise_file_limit(LEAST_FILES)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(process::unless_stopped(run(options, files)))
}

/// Runs the scenarios one after another, and returns the number of missed limits.
async fn run(options: &Options, files: u64) -> anyhow::Result<usize> {
    let chosen = choose(&options.scenarios)?;
    let mut lab = Lab::open(options.quick, files)?;
    (lab.minutes, lab.write, lab.render) = (options.minutes, options.write, options.render);
    let wanted = |contender| chosen.iter().any(|scenario| scenario.contenders.contains(&contender));
    if !options.alone && (wanted(Contender::Waitress) || wanted(Contender::Granian)) {
        lab.install_python();
    }
    // Before the time of the scenario begins: a build may take longer than what that has to spare.
    if !options.render && chosen.iter().any(|scenario| scenario.name == scenarios::SOAK) {
        lab.build_soak()?;
    }
    println!("{}\n", setting(&lab));
    let mut missed = 0;
    for scenario in &chosen {
        let takes_part =
            |&contender: &Contender| contender == Contender::Gateway || !options.alone && lab.has(contender);
        let contenders: Vec<Contender> = scenario.contenders.iter().copied().filter(takes_part).collect();
        eprintln!("{} …", scenario.name);
        let runs = contenders.iter().map(|&contender| {
            let run = timeout((scenario.longest)(&lab), (scenario.run)(&lab, contender));
            async move { run.await.context("timeout of the scenario")? }
        });
        let sheets = if scenario.at_once {
            join_all(runs).await
        } else {
            let mut sheets = Vec::new();
            for run in runs {
                sheets.push(run.await);
            }
            sheets
        };
        let results: Vec<_> = contenders.iter().map(|contender| contender.name()).zip(sheets).collect();
        missed += report::print(scenario.name, &(scenario.load)(lab.quick), &results);
    }
    Ok(missed)
}

fn choose(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let known = scenarios::ALL.map(|scenario| scenario.name);
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no scenario {name:?}; there are {}", known.join(", "));
    }
    let is_chosen =
        |scenario: &Scenario| names.is_empty() && !scenario.asked_for || names.iter().any(|name| name == scenario.name);
    Ok(scenarios::ALL.into_iter().filter(is_chosen).collect())
}

/// The machine and the versions with which the figures were measured.
fn setting(lab: &Lab) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut setting = format!(
        "{} run on {cores} cores, load and servers together, on loopback; up to {} open files. Every server has 4 threads \
         for blocking work, and the gateway 16 places in its queue.",
        if lab.quick { "Quick" } else { "Full" },
        lab.files,
    );
    for package in ["waitress", "granian"] {
        if let Some(version) = lab.version(package) {
            setting.push_str(&format!(" {package} {version}."));
        }
    }
    setting
}
