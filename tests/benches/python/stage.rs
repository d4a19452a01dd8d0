//! The programs of the contenders: their paths, and how each is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compare::machine;
use crate::contender::{Contender, Kind};
use crate::environment::Environment;
use crate::link::{self, Linked};

/// A folder in the target folder.
pub(crate) const FOLDER: &str = "python-peers";

/// A folder in the folder of the book.
pub(crate) const PAGE: &str = "performance/python";

/// The packages of the gateway whose versions are reported.
const PACKAGES: [&str; 5] = ["axum", "gateway", "hyper", "pyo3", "tokio"];

/// The virtual environment with the servers, and the gateway's program.
pub(crate) struct Stage {
    environment: Environment,
    gateway: Linked,
    /// The folder of the applications.
    applications: PathBuf,
}

impl Stage {
    pub(crate) fn set(folder: &Path, target: &Path) -> anyhow::Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let applications = tests.join("benches/contenders/python");
        let environment = Environment::find(&target.join("venv-peers"), &applications.join("requirements.txt"))?;
        let gateway = link::build(&environment.program("python"), folder, target)?;
        Ok(Self { environment, gateway, applications })
    }

    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let mut versions = machine::versions(&PACKAGES);
        versions.extend(self.environment.versions());
        let how = if self.gateway.is_static { "static" } else { "shared" };
        versions.insert("the gateway's libpython".to_owned(), how.to_owned());
        versions
    }

    pub(crate) fn command(&self, contender: Contender, runtime: Option<usize>, port: u16) -> Command {
        let Contender { kind, threads, module } = contender;
        let (application, address) = (format!("{module}:app"), format!("127.0.0.1:{port}"));
        let (port, threads) = (port.to_string(), threads.to_string());
        let mut command = self.program(kind);
        match kind {
            Kind::Gateway => {
                command.args([&application, "--port", &port, "--threads", &threads, "--python-path"]);
                command.arg(&self.applications).arg("--virtual-env").arg(&self.environment.folder);
                // One runtime thread, as granian has.
                command.env("TOKIO_WORKER_THREADS", "1");
            }
            // granian's default runtime has one thread, which its documentation recommends; its access log is off by
            // default.
            Kind::Granian => {
                command.args(["--interface", "wsgi", "--workers", "1", "--port", &port]);
                command.args(["--blocking-threads", &threads, &application]);
            }
            Kind::Gunicorn => {
                command.args(["--worker-class", "gthread", "--workers", "1", "--threads", &threads]);
                command.args(["--no-control-socket", "--bind", &address, &application]);
            }
            Kind::Waitress | Kind::Twisted => {
                command.args([module, &port, &threads]);
            }
            Kind::Bjoern | Kind::FastWsgi => {
                command.args([module, &port]);
            }
            Kind::Uwsgi | Kind::UwsgiRouted => {
                // Without the router, only this kind of socket supports keep-alive, and each connection occupies a
                // thread until it closes.
                if kind == Kind::Uwsgi {
                    command.args(["--http11-socket", &address]);
                } else {
                    command.args(["--http", &address, "--http-keepalive=75"]);
                }
                command.args(["--processes", "1", "--threads", &threads]);
                command.args(["--listen", "1024", "--disable-logging", "--need-app", "--die-on-term"]);
                command.args(["--module", &application, "--virtualenv"]).arg(&self.environment.folder);
            }
            Kind::Cheroot => {
                // The default listen backlog is five connections.
                command.args(["--bind", &address, "--threads", &threads, "--request-queue-size", "1024", &application]);
            }
        }
        if let Some(threads) = runtime {
            match kind {
                Kind::Granian => command.args(["--runtime-threads", &threads.to_string()]),
                _ => command.env("TOKIO_WORKER_THREADS", threads.to_string()),
            };
        }
        command
    }

    /// The command of a server, with the settings that are the same for all: the folder of the applications is the
    /// working directory, and Python writes no bytecode there.
    fn program(&self, kind: Kind) -> Command {
        let mut command = match kind {
            Kind::Gateway => Command::new(&self.gateway.program),
            Kind::UwsgiRouted => Command::new(self.environment.program("uwsgi")),
            Kind::Waitress | Kind::Twisted | Kind::Bjoern | Kind::FastWsgi => {
                let mut command = Command::new(self.environment.program("python"));
                command.arg(format!("serve_{}.py", kind.name()));
                command
            }
            other => Command::new(self.environment.program(other.name())),
        };
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONPATH", &self.applications)
            .current_dir(&self.applications);
        command
    }
}
