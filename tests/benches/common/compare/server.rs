//! A running server, and the requests that are sent to it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{sleep, timeout};

use super::plan::Load;
use super::results::Round;
use super::wrk;
use crate::client::{Connection, Outcome};
use crate::process::{Cost, Process, Usage};

/// The timeout of a request; it is longer than any correct response takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pause after a round, so that the remaining work of the round does not affect the next round.
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

    /// Sends a request, checks that the response has status 200 and a body of the given length, and returns the first
    /// bytes of the body.
    pub(crate) async fn ask(&self, request: &[u8], length: u64) -> anyhow::Result<Vec<u8>> {
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            anyhow::Ok(connection.exchange(request).await)
        };
        match timeout(PATIENCE, exchange).await.context("no response before the timeout")?? {
            Outcome::Answered(reply) if reply.status == 200 && reply.length == length => Ok(reply.body),
            Outcome::Answered(reply) => bail!("the answer is {} with {} bytes", reply.status, reply.length),
            other => bail!("the answer is {other:?}"),
        }
    }

    /// Sends one request of the load and checks the response, so that all compared servers are known to do the same
    /// work.
    pub(crate) async fn check(&self, load: &Load) -> anyhow::Result<()> {
        self.ask(&load.request(), load.answer).await.with_context(|| load.path.clone())?;
        Ok(())
    }

    /// Runs one round of load, and measures its cost.
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
