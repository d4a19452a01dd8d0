//! Starts the servers, and holds the settings of the load.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::server::Server;
use crate::contender::Contender;
use crate::process::{Process, build, folder, free_port, target};
use crate::stage::{self, Stage};

pub(crate) struct Lab {
    folder: PathBuf,
    stage: Stage,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) quick: bool,
}

impl Lab {
    pub(crate) fn open(rounds: usize, seconds: u64, quick: bool) -> anyhow::Result<Self> {
        let folder = folder(stage::FOLDER)?;
        let stage = Stage::set(&folder, &target()?)?;
        Ok(Self { folder, stage, rounds, seconds, quick })
    }

    /// The versions of all compared servers.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        self.stage.versions()
    }

    pub(crate) async fn start(&self, contender: Contender) -> anyhow::Result<Server> {
        self.start_on(None, contender).await
    }

    /// Starts a server with the given number of runtime threads, or with its default number.
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

/// Builds programs of this package in a separate build, because a build together with the benches and tests would
/// enable the library features that those need.
pub(crate) fn build_with(what: &[&str], set: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    eprintln!("building the contenders …");
    build(&[&["-p", "gateway-tests", "--no-default-features"], what].concat(), set)
}
