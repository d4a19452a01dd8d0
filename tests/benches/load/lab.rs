//! The servers under load: where their programs come from, and how each is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{self, Process, Usage, free_port};
use crate::venv;

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// `examples/wsgibin.rs`; the one that is held to the bars.
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

/// The limits under which the gateway is tested, but for its four threads.
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

/// A server that listens.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }

    /// How many bytes of memory it has more than then.
    pub(crate) fn growth(&self, since: &Usage) -> anyhow::Result<f64> {
        Ok(self.usage()?.growth(since))
    }

    /// The most that its memory has grown since then, looked at every so often for as long as something goes on.
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

/// The programs.
pub(crate) struct Lab {
    /// Where everything goes that a run leaves behind.
    pub(crate) folder: PathBuf,
    wsgibin: PathBuf,
    /// The Python that waitress and granian are installed for, or why there is none.
    python: Result<PathBuf, String>,
    pub(crate) quick: bool,
    /// How long a soak lasts.
    pub(crate) minutes: u64,
    /// The most files that a program may open.
    pub(crate) files: u64,
}

impl Lab {
    /// Builds and installs what is missing.
    pub(crate) fn open(quick: bool, minutes: u64, files: u64) -> anyhow::Result<Self> {
        let folder = process::folder("load")?;
        process::build(&["-p", "gateway-examples", "--example", "wsgibin"], |_| {})?;
        let wsgibin = process::target()?.join("release/examples/wsgibin");
        Ok(Self { folder, wsgibin, python: Err("nobody asked for it".to_owned()), quick, minutes, files })
    }

    /// Installs the servers that pip has, once.
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

    /// Where the server on this port says what it does.
    pub(crate) fn log(&self, contender: Contender, port: u16) -> PathBuf {
        self.folder.join(format!("{}-{port}.log", contender.name()))
    }

    /// Starts a server with a short queue.
    pub(crate) async fn start(&self, contender: Contender) -> anyhow::Result<Server> {
        self.start_at(contender, free_port()?, 16).await
    }

    /// Starts a server on a port, with so many places in the queue if it has one.
    pub(crate) async fn start_at(&self, contender: Contender, port: u16, queue: usize) -> anyhow::Result<Server> {
        let mut command = self.command(contender, port, queue)?;
        self.listen(&mut command, contender, port).await
    }

    /// Starts the gateway with options of its own instead of the limits that the other scenarios share.
    pub(crate) async fn start_gateway(&self, options: &[&str]) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(&self.wsgibin);
        command.args(["--port", &port.to_string()]).args(options);
        self.listen(&mut command, Contender::Gateway, port).await
    }

    /// Starts the gateway with a short queue and an access log.
    pub(crate) async fn start_with_access_log(&self) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = self.command(Contender::Gateway, port, 16)?;
        // The log is read, and has no colours in it.
        command.env("RUST_LOG", "gateway::access=info").env("NO_COLOR", "1");
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
            // It would take no more than 100 connections, and no file descriptor above 1,024.
            Contender::Waitress => command
                .args(["--threads=4", "--connection-limit=4000", "--asyncore-use-poll"])
                .arg(format!("--listen=127.0.0.1:{port}")),
            _ => command.args(["--interface", "wsgi", "--workers", "1", "--blocking-threads", "4", "--port", &port]),
        };
        command.arg("app:app").env("PYTHONDONTWRITEBYTECODE", "1").current_dir(contenders());
        Ok(command)
    }
}

/// Where the contenders' sources are.
fn contenders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/contenders")
}
