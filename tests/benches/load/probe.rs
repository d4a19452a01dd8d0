//! A neighbour that asks for one route at a steady rate, whatever else goes on, and the times it had to wait.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::client::{Connection, Outcome, get};
use crate::report::{Bar, Sheet, Unit};

/// Longer than this is a failure.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long requests took.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Milliseconds that so many percent of them did not exceed; NaN if there are none.
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

/// What a probe saw.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Requests without a whole 200 in time.
    pub(crate) failures: usize,
    pub(crate) times: Times,
}

/// Asks until it is stopped. Each request is timed from when it was due, not from when there was time to send it.
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
            // An error means that nobody waits for the record any more.
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

/// One request, on a connection that is idle or new.
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

/// `/fast`, outside the threads of a gateway, 50 times a second, and `/ok`, on those threads, 5 times a second: first
/// without load, for comparison, and then beside it.
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

    /// Puts down what they saw. `/fast` is held to that many milliseconds, or to five times what it took without load,
    /// whichever is more: a busy machine is slow for everybody.
    pub(crate) async fn leave(self, sheet: &mut Sheet, milliseconds: f64) -> anyhow::Result<()> {
        let (fast, ok) = (self.fast.stop().await?, self.ok.stop().await?);
        let bar = Bar::AtMost((self.quiet.times.percentile(99) * 5.0).max(milliseconds));
        sheet.put("/fast before the load: p99", self.quiet.times.percentile(99), Unit::Milliseconds, Bar::None);
        sheet.put("/fast beside the load: failures", fast.failures as f64, Unit::Count, Bar::Exactly(0.0));
        sheet.put("/fast beside the load: p50", fast.times.percentile(50), Unit::Milliseconds, Bar::None);
        sheet.put("/fast beside the load: p99", fast.times.percentile(99), Unit::Milliseconds, bar);
        sheet.put("/ok, on a thread: failures", ok.failures as f64, Unit::Count, Bar::None);
        sheet.put("/ok, on a thread: p99", ok.times.percentile(99), Unit::Milliseconds, Bar::None);
        Ok(())
    }
}
