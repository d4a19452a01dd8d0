//! The servers under load: how each program is built or installed, and how each is started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{self, Process, Usage, free_port};
use crate::venv;

/// The servers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The gateway, as `examples/wsgibin.rs`; only this server has to meet the limits.
    Gateway,
    /// axum and `tokio::task::spawn_blocking`.
    SpawnBlocking,
    Waitress,
    Granian,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::SpawnBlocking => "spawn_blocking",
            Self::Waitress => "waitress",
            Self::Granian => "granian",
        }
    }

    fn is_python(self) -> bool {
        matches!(self, Self::Waitress | Self::Granian)
    }
}

/// The limits with which the gateway is tested; it has four threads.
const LIMITS: [&str; 10] = [
    "--queue-timeout-ms",
    "2000",
    "--max-body",
    "1048576",
    "--body-idle-ms",
    "5000",
    "--write-stall-ms",
    "5000",
    "--grace-ms",
    "5000",
];

/// A running server that accepts connections.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }

    /// The growth of memory since `since`, in bytes.
    pub(crate) fn growth(&self, since: &Usage) -> anyhow::Result<f64> {
        Ok(self.usage()?.growth(since))
    }

    /// The maximum growth of memory since `since`, sampled at the interval `every` while `goes_on` returns true.
    pub(crate) async fn most_growth(
        &self,
        since: &Usage,
        every: Duration,
        goes_on: impl Fn() -> bool,
    ) -> anyhow::Result<f64> {
        let mut most = 0.0_f64;
        while goes_on() {
            tokio::time::sleep(every).await;
            most = most.max(self.growth(since)?);
        }
        Ok(most)
    }
}

/// The programs that a run needs.
pub(crate) struct Lab {
    /// The folder for all files that a run leaves behind.
    pub(crate) folder: PathBuf,
    wsgibin: PathBuf,
    /// The Python interpreter of the environment with waitress and granian, or the reason why there is none.
    python: Result<PathBuf, String>,
    pub(crate) quick: bool,
    /// The duration of `soak`, in minutes.
    pub(crate) minutes: u64,
    /// Whether `soak` puts its results into the book.
    pub(crate) write: bool,
    /// Whether `soak` takes the results of its last run.
    pub(crate) render: bool,
    /// The limit of open files for each program.
    pub(crate) files: u64,
}

impl Lab {
    /// Builds and installs the programs that are missing.
    pub(crate) fn open(quick: bool, files: u64) -> anyhow::Result<Self> {
        let folder = process::folder("load")?;
        process::build(&["-p", "gateway-examples", "--example", "wsgibin"], |_| {})?;
        let wsgibin = process::target()?.join("release/examples/wsgibin");
        let python = Err("nobody asked for it".to_owned());
        Ok(Self { folder, wsgibin, python, quick, minutes: 0, write: false, render: false, files })
    }

    /// Installs the Python servers with pip, once.
    pub(crate) fn install_python(&mut self) {
        self.python =
            venv::install(&self.folder.join("venv"), &["waitress", "granian"]).map_err(|error| format!("{error:#}"));
        if let Err(error) = &self.python {
            eprintln!("waitress and granian are left out: {error}");
        }
    }

    pub(crate) fn has(&self, contender: Contender) -> bool {
        !contender.is_python() || self.python.is_ok()
    }

    /// The version of a Python package.
    pub(crate) fn version(&self, package: &str) -> Option<String> {
        venv::version(self.python.as_ref().ok()?, package)
    }

    /// The log file of the server on this port.
    pub(crate) fn log(&self, contender: Contender, port: u16) -> PathBuf {
        self.folder.join(format!("{}-{port}.log", contender.name()))
    }

    /// Starts a server with a short queue.
    pub(crate) async fn start(&self, contender: Contender) -> anyhow::Result<Server> {
        self.start_at(contender, free_port()?, 16).await
    }

    /// Starts a server on a port; `queue` is the length of its queue, if it has one.
    pub(crate) async fn start_at(&self, contender: Contender, port: u16, queue: usize) -> anyhow::Result<Server> {
        let mut command = self.command(contender, port, queue)?;
        self.listen(&mut command, contender, port).await
    }

    /// Starts the gateway with the given options instead of the limits that the other scenarios share.
    pub(crate) async fn start_gateway(&self, options: &[&str]) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(&self.wsgibin);
        command.args(["--port", &port.to_string()]).args(options);
        self.listen(&mut command, Contender::Gateway, port).await
    }

    /// Builds the server of the soak, and installs Flask and Django from PyPI.
    pub(crate) fn build_soak(&self) -> anyhow::Result<()> {
        process::build(&["-p", "gateway-tests", "--features", "soak", "--bin", "soak_server"], |_| {})?;
        let requirements = fs::read_to_string(tests().join("python/requirements.txt"))?;
        let packages: Vec<&str> = requirements.lines().filter(|line| line.contains("==")).collect();
        venv::install(&self.soak_venv(), &packages)?;
        Ok(())
    }

    fn soak_venv(&self) -> PathBuf {
        self.folder.join("soak-venv")
    }

    /// Starts the server of the soak, which has been built.
    pub(crate) async fn start_soak(&self) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(process::target()?.join("release/soak_server"));
        command.args(["--port", &port.to_string()]).arg("--virtual-env").arg(self.soak_venv());
        command.arg("--python-path").arg(contenders().join("python"));
        // Panics are many.
        command.env("RUST_BACKTRACE", "0").env("RUST_LOG", "warn");
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&self.folder);
        self.listen(&mut command, Contender::Gateway, port).await
    }

    async fn listen(&self, command: &mut Command, contender: Contender, port: u16) -> anyhow::Result<Server> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = self.log(contender, port);
        let mut process = Process::start(command, &log)?;
        process.listens(address).await.with_context(|| format!("{}, see {}", contender.name(), log.display()))?;
        Ok(Server { process, address })
    }

    fn command(&self, contender: Contender, port: u16, queue: usize) -> anyhow::Result<Command> {
        let port = port.to_string();
        let program = match contender {
            Contender::Gateway => {
                let mut command = Command::new(&self.wsgibin);
                command.args(["--port", &port, "--threads", "4", "--queue", &queue.to_string()]).args(LIMITS);
                return Ok(command);
            }
            Contender::SpawnBlocking => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_spawn_blocking"));
                command.args(["--port", &port, "--threads", "4"]);
                return Ok(command);
            }
            Contender::Waitress => "waitress",
            Contender::Granian => "granian",
        };
        let Ok(python) = &self.python else { bail!("there is no {program}") };
        let mut command = Command::new(python);
        command.args(["-m", program]);
        match contender {
            // By default, waitress accepts no more than 100 connections and uses `select`, which fails above descriptor
            // 1,024.
            Contender::Waitress => command
                .args(["--threads=4", "--connection-limit=4000", "--asyncore-use-poll"])
                .arg(format!("--listen=127.0.0.1:{port}")),
            _ => command.args(["--interface", "wsgi", "--workers", "1", "--blocking-threads", "4", "--port", &port]),
        };
        command.arg("app:app").env("PYTHONDONTWRITEBYTECODE", "1").current_dir(contenders());
        Ok(command)
    }
}

/// The folder with the sources of the contenders.
fn contenders() -> PathBuf {
    tests().join("benches/contenders")
}

/// The folder of this package.
fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
