//! What the server takes over time, and whether that grows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::ledger::State;
use crate::lab::Server;
use crate::report::{Limit, Sheet, Unit};

/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(2);

/// One moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Since the begin of the load.
    pub(super) seconds: f64,
    /// Resident, in bytes.
    pub(super) memory: u64,
    pub(super) threads: usize,
    pub(super) files: usize,
    /// Of the runtime.
    pub(super) tasks: usize,
    /// The requests that have ended, by outcome.
    pub(super) outcomes: BTreeMap<String, u64>,
}

/// A figure of the samples, with the most that the median of its last third may be beyond that of its second third. In
/// the first third, caches and the memory of the allocator still fill.
pub(super) struct Level {
    pub(super) name: &'static str,
    difference: &'static str,
    idle: &'static str,
    most_idle: f64,
    pub(super) unit: Unit,
    pub(super) of: fn(&Sample) -> f64,
    most: f64,
}

pub(super) const LEVELS: [Level; 4] = [
    Level {
        name: "memory",
        difference: "memory: last third beyond the second",
        idle: "memory: idle after the load beyond idle before it",
        most_idle: 8.0 * 1024.0 * 1024.0,
        unit: Unit::Growth,
        of: |sample| sample.memory as f64,
        most: 4.0 * 1024.0 * 1024.0,
    },
    Level {
        name: "threads",
        difference: "threads: last third beyond the second",
        idle: "threads: idle after the load beyond idle before it",
        most_idle: 0.0,
        unit: Unit::Count,
        of: |sample| sample.threads as f64,
        // The blocking threads of the runtime, which read files, come and go.
        most: 4.0,
    },
    Level {
        name: "descriptors",
        difference: "descriptors: last third beyond the second",
        idle: "descriptors: idle after the load beyond idle before it",
        most_idle: 0.0,
        unit: Unit::Count,
        of: |sample| sample.files as f64,
        most: 8.0,
    },
    Level {
        name: "tasks",
        difference: "tasks: last third beyond the second",
        idle: "tasks: idle after the load beyond idle before it",
        most_idle: 0.0,
        unit: Unit::Count,
        of: |sample| sample.tasks as f64,
        most: 8.0,
    },
];

pub(super) async fn sample(server: &Server) -> anyhow::Result<(Sample, State)> {
    let state = state(server.address).await?;
    let usage = server.usage()?;
    let sample = Sample {
        seconds: 0.0,
        memory: usage.memory,
        threads: usage.threads,
        files: usage.files,
        tasks: state.value("soak_tasks") as usize,
        outcomes: state.outcomes(),
    };
    Ok((sample, state))
}

/// Takes samples until the time is over.
pub(super) async fn watch(server: &Server, length: Duration) -> anyhow::Result<Vec<Sample>> {
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while ticks.tick().await < begin + length {
        let (sample, _) = sample(server).await?;
        samples.push(Sample { seconds: begin.elapsed().as_secs_f64(), ..sample });
    }
    Ok(samples)
}

/// Waits until the server has released what the load took, for at most a minute, and takes a sample.
pub(super) async fn settle(server: &Server, before: &Sample) -> anyhow::Result<(Sample, State)> {
    let begin = Instant::now();
    loop {
        sleep(PERIOD).await;
        let (after, state) = sample(server).await?;
        let is_idle = LEVELS.iter().all(|level| (level.of)(&after) - (level.of)(before) <= level.most_idle);
        if is_idle || begin.elapsed() > Duration::from_secs(60) {
            return Ok((after, state));
        }
    }
}

/// Puts the difference between two samples of the idle server into the sheet.
pub(super) fn compare_idle(before: &Sample, after: &Sample, sheet: &mut Sheet) {
    for level in &LEVELS {
        sheet.put(level.idle, (level.of)(after) - (level.of)(before), level.unit, Limit::AtMost(level.most_idle));
    }
}

/// The figures of the server.
async fn state(address: SocketAddr) -> anyhow::Result<State> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /state HTTP/1.1\r\nHost: load.test\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::Ok(text)
    };
    let text = timeout(Duration::from_secs(30), exchange).await.context("/state: timeout")??;
    let (_, body) = text.split_once("\r\n\r\n").context("/state: no body")?;
    Ok(State::parse(body))
}

/// Puts the medians of the thirds into the sheet.
pub(super) fn compare(samples: &[Sample], sheet: &mut Sheet) {
    let third = samples.len() / 3;
    for level in &LEVELS {
        let second = median(&samples[third..2 * third], level.of);
        let last = median(&samples[2 * third..], level.of);
        sheet.put(level.difference, last - second, level.unit, Limit::AtMost(level.most));
    }
}

/// The median of a figure; NaN if there are no samples.
pub(super) fn median(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
