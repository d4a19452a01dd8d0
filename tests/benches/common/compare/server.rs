//! A server that listens, and what is asked of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{sleep, timeout};

use super::plan::Load;
use super::results::Round;
use super::wrk;
use crate::client::{Connection, Outcome};
use crate::process::{Cost, Process, Usage};

/// Longer than any right answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// After a round, so that what is left of it is not in the next.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn new(process: Process, address: SocketAddr) -> Self {
        Self { process, address }
    }

    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        self.process.cost()
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }

    /// Sends a request that has to be answered with 200 and a body of that length, and gives the first bytes of it.
    pub(crate) async fn ask(&self, request: &[u8], length: u64) -> anyhow::Result<Vec<u8>> {
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            anyhow::Ok(connection.exchange(request).await)
        };
        match timeout(PATIENCE, exchange).await.context("it has no answer")?? {
            Outcome::Answered(reply) if reply.status == 200 && reply.length == length => Ok(reply.body),
            Outcome::Answered(reply) => bail!("the answer is {} with {} bytes", reply.status, reply.length),
            other => bail!("the answer is {other:?}"),
        }
    }

    /// Asks once for what wrk will ask for, so that all that are compared are seen to do the same.
    pub(crate) async fn check(&self, load: &Load) -> anyhow::Result<()> {
        self.ask(&load.request(), load.answer).await.with_context(|| load.path.clone())?;
        Ok(())
    }

    /// One round of load, and what it has cost.
    pub(crate) async fn round(&self, load: &Load, seconds: u64) -> anyhow::Result<Round> {
        let before = self.cost()?;
        let seen = wrk::run(self.address, load, seconds).await?;
        sleep(PAUSE).await;
        let after = self.cost()?;
        Ok(Round {
            requests: seen.requests,
            seconds: seen.seconds,
            cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6 / seen.requests as f64,
            mean_ms: seen.mean_ms,
            p50_ms: seen.p50_ms,
            p99_ms: seen.p99_ms,
            peak_mib: after.peak as f64 / f64::from(1 << 20),
            refused: seen.refused,
            broken: seen.broken,
        })
    }
}
