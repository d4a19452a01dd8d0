//! Where servers are started, and how much is asked of them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::server::Server;
use crate::contender::Contender;
use crate::process::{Process, forget_logs, free_port};
use crate::stage::{self, Stage};

pub(crate) struct Lab {
    folder: PathBuf,
    stage: Stage,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) quick: bool,
}

/// The target folder that this program was built in.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    // This program is target/release/deps/NAME-….
    let own = env::current_exe()?;
    Ok(own.ancestors().nth(3).context("this program is in no target folder")?.to_owned())
}

/// Where everything goes that a run leaves behind.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = target()?.join(stage::FOLDER);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

impl Lab {
    pub(crate) fn open(rounds: usize, seconds: u64, quick: bool) -> anyhow::Result<Self> {
        let folder = folder()?;
        forget_logs(&folder)?;
        let stage = Stage::set(&folder, &target()?)?;
        Ok(Self { folder, stage, rounds, seconds, quick })
    }

    /// Of all that is compared.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        self.stage.versions()
    }

    pub(crate) async fn start(&self, contender: Contender) -> anyhow::Result<Server> {
        self.start_on(None, contender).await
    }

    /// On a runtime with so many threads; with as many as it has by itself if nothing is said.
    pub(crate) async fn start_on(&self, runtime: Option<usize>, contender: Contender) -> anyhow::Result<Server> {
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = self.stage.command(contender, runtime, port);
        let log = self.folder.join(format!("{}-{port}.log", contender.program()));
        let mut process = Process::start(&mut command, &log)?;
        process.listens(address).await.with_context(|| format!("{}, see {}", contender.title(), log.display()))?;
        Ok(Server::new(process, address))
    }
}

/// Builds some of this package's programs by themselves, as what a bench and the tests need of the same libraries would
/// otherwise be in them, too.
pub(crate) fn build_with(target: &Path, what: &[&str], set: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    eprintln!("building the contenders …");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    set(&mut command);
    let status = command
        .args(["build", "--release", "--quiet", "-p", "gateway-tests", "--no-default-features", "--target-dir"])
        .arg(target)
        .args(what)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .context("cargo")?;
    if !status.success() {
        bail!("the contenders do not build");
    }
    Ok(())
}
