//! The servers under load: how their programs are built, and how each is started.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{sleep, timeout};

use crate::client::{Connection, Outcome};
use crate::contender::Contender;
use crate::plan::Load;
use crate::process::{Cost, Process, Usage, forget_logs, free_port};
use crate::results::Round;
use crate::wrk;

/// Longer than any right answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// After a round, so that what is left of it is not in the next.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
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
        let method = if load.body > 0 { "POST" } else { "GET" };
        let query = if load.rows > 0 { "?id=1" } else { "" };
        let mut request = format!("{method} {}{query} HTTP/1.1\r\nHost: peers.test\r\n", load.path);
        for number in 1..=load.fields {
            request.push_str(&format!("X-Header-{number:02}: sixteen letters.\r\n"));
        }
        if load.body > 0 {
            request.push_str(&format!("Content-Length: {}\r\n", load.body));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.resize(request.len() + load.body, b'x');
        self.ask(&request, load.answer).await.with_context(|| load.path.clone())?;
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

/// The programs, and how much to ask of them.
pub(crate) struct Lab {
    folder: PathBuf,
    programs: PathBuf,
    database: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) quick: bool,
}

/// The target folder that this program was built in.
fn target() -> anyhow::Result<PathBuf> {
    // This program is target/release/deps/peers-….
    let own = env::current_exe()?;
    Ok(own.ancestors().nth(3).context("this program is in no target folder")?.to_owned())
}

/// Where everything goes that a run leaves behind.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = target()?.join("peers");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

impl Lab {
    /// Builds the contenders as their users would, and makes what they work on.
    pub(crate) fn open(rounds: usize, seconds: u64, quick: bool) -> anyhow::Result<Self> {
        let (folder, target) = (folder()?, target()?);
        forget_logs(&folder)?;
        build(&target)?;
        let programs = target.join("release");
        let database = folder.join("rows.db");
        let made = Command::new(programs.join("make_database")).arg(&database).status().context("make_database")?;
        if !made.success() {
            bail!("there is no database");
        }
        Ok(Self { folder, programs, database, rounds, seconds, quick })
    }

    pub(crate) async fn start(&self, contender: Contender) -> anyhow::Result<Server> {
        self.start_on(None, contender).await
    }

    /// On a runtime with so many threads; with as many as there are processors if nothing is said.
    pub(crate) async fn start_on(&self, runtime: Option<usize>, contender: Contender) -> anyhow::Result<Server> {
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(self.programs.join(contender.program()));
        command.args(["--port", &port.to_string(), "--database"]).arg(&self.database);
        if let Contender::Gateway(threads) = contender {
            command.args(["--threads", &threads.to_string()]);
        }
        if let Some(threads) = runtime {
            command.env("TOKIO_WORKER_THREADS", threads.to_string());
        }
        let log = self.folder.join(format!("{}-{port}.log", contender.program()));
        let mut process = Process::start(&mut command, &log)?;
        process.listens(address).await.with_context(|| format!("{}, see {}", contender.title(), log.display()))?;
        Ok(Server { process, address })
    }
}

/// By themselves, as what this program and its tests need of the same libraries would otherwise be in them, too.
fn build(target: &Path) -> anyhow::Result<()> {
    eprintln!("building the contenders …");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "-p", "gateway-tests", "--bins"])
        .args(["--no-default-features", "--features", "peers", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .context("cargo")?;
    if !status.success() {
        bail!("the contenders do not build");
    }
    Ok(())
}
