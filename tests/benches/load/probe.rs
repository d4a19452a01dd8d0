//! A client that sends requests to one route at a steady rate beside the load, and records the latencies.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::client::{Connection, Outcome, get};
use crate::report::{Limit, Sheet, Unit};

/// The timeout of a request.
const PATIENCE: Duration = Duration::from_secs(2);

/// The latencies of requests.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The given percentile in milliseconds; NaN if there are no latencies.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut times = self.0.clone();
        times.sort_unstable();
        let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The results of a probe.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The number of requests without a complete response of status 200 before the timeout.
    pub(crate) failures: usize,
    pub(crate) times: Times,
}

/// Sends requests until it is stopped. The latency of a request counts from the time at which the request was due, not
/// from the time at which it was sent.
#[derive(Debug)]
pub(crate) struct Probe {
    stop: watch::Sender<bool>,
    task: JoinHandle<Record>,
}

impl Probe {
    pub(crate) fn start(address: SocketAddr, target: &'static str, per_second: u32) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(address, target, per_second, stopped));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<Record> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

async fn run(address: SocketAddr, target: &'static str, per_second: u32, mut stopped: watch::Receiver<bool>) -> Record {
    let idle = Arc::new(Mutex::new(Vec::new()));
    let mut asked = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            // An error means that the receiver of the record has been dropped.
            _ = stopped.changed() => break,
            due = ticks.tick() => {
                asked.spawn(ask(address, target, due.into_std(), Arc::clone(&idle)));
            }
        }
    }
    let mut record = Record::default();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Some(time)) => record.times.push(time),
            _ => record.failures += 1,
        }
    }
    record
}

/// Sends one request on an idle or a new connection.
async fn ask(address: SocketAddr, target: &str, due: Instant, idle: Arc<Mutex<Vec<Connection>>>) -> Option<Duration> {
    let exchange = async {
        let spare = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match spare {
            Some(connection) => connection,
            None => Connection::open(address).await.ok()?,
        };
        match connection.exchange(&get(target)).await {
            Outcome::Answered(reply) if reply.status == 200 => Some((connection, reply.closes)),
            _ => None,
        }
    };
    let (connection, closes) = timeout(PATIENCE, exchange).await.ok()??;
    if !closes {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
    Some(due.elapsed())
}

/// Probes of `/fast`, which a gateway answers without its threads, 50 times a second, and of `/ok`, which needs such a
/// thread, 5 times a second. The probes run first without load, for comparison, and then beside the load.
pub(crate) struct Neighbours {
    quiet: Record,
    fast: Probe,
    ok: Probe,
}

impl Neighbours {
    pub(crate) async fn settle(address: SocketAddr) -> anyhow::Result<Self> {
        let fast = Probe::start(address, "/fast", 50);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let quiet = fast.stop().await?;
        Ok(Self { quiet, fast: Probe::start(address, "/fast", 50), ok: Probe::start(address, "/ok", 5) })
    }

    /// Records the results. The limit of `/fast` is the given number of milliseconds or five times the latency without
    /// load, whichever is greater: on a busy machine all latencies are high.
    pub(crate) async fn leave(self, sheet: &mut Sheet, milliseconds: f64) -> anyhow::Result<()> {
        let (fast, ok) = (self.fast.stop().await?, self.ok.stop().await?);
        let limit = Limit::AtMost((self.quiet.times.percentile(99) * 5.0).max(milliseconds));
        sheet.put("/fast before the load: p99", self.quiet.times.percentile(99), Unit::Milliseconds, Limit::None);
        sheet.put("/fast beside the load: failures", fast.failures as f64, Unit::Count, Limit::Exactly(0.0));
        sheet.put("/fast beside the load: p50", fast.times.percentile(50), Unit::Milliseconds, Limit::None);
        sheet.put("/fast beside the load: p99", fast.times.percentile(99), Unit::Milliseconds, limit);
        sheet.put("/ok, on a thread: failures", ok.failures as f64, Unit::Count, Limit::None);
        sheet.put("/ok, on a thread: p99", ok.times.percentile(99), Unit::Milliseconds, Limit::None);
        Ok(())
    }
}
