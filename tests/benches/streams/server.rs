//! The servers that are compared, and how each is started.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::nginx;
use crate::process::{self, Process, free_port};
use crate::venv;

/// The servers that read the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    Gateway,
    /// The gateway behind nginx; nginx keeps its connections to the gateway open for the requests of other clients.
    Nginx,
    Gunicorn,
    Waitress,
    Cheroot,
    Granian,
}

impl Server {
    pub(crate) const ALL: [Self; 6] =
        [Self::Gateway, Self::Nginx, Self::Gunicorn, Self::Waitress, Self::Cheroot, Self::Granian];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Nginx => "gateway behind nginx",
            Self::Gunicorn => "gunicorn",
            Self::Waitress => "waitress",
            Self::Cheroot => "cheroot",
            Self::Granian => "granian",
        }
    }

    /// Whether the gateway calls the application, directly or behind nginx.
    pub(crate) fn is_own(self) -> bool {
        matches!(self, Self::Gateway | Self::Nginx)
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    _processes: Vec<Process>,
}

/// The packages of the Python servers.
const PACKAGES: [&str; 4] = ["gunicorn", "waitress", "cheroot", "granian"];

/// More threads than concurrent connections: in some servers a thread waits for the rest of a request.
const THREADS: &str = "64";

/// The folder for logs, and the environment of the Python servers.
pub(crate) struct Lab {
    folder: PathBuf,
    python: Option<PathBuf>,
}

impl Lab {
    /// Installs the servers that are missing. A server that cannot be installed is reported and left out.
    pub(crate) fn open(with_python: bool) -> anyhow::Result<Self> {
        let folder = process::folder("streams")?;
        if !with_python {
            return Ok(Self { folder, python: None });
        }
        let python = venv::install(&folder.join("venv"), &PACKAGES);
        let python = python.inspect_err(|error| eprintln!("the servers of Python are left out: {error:#}")).ok();
        Ok(Self { folder, python })
    }

    /// The names and versions of the servers.
    pub(crate) fn versions(&self) -> Vec<String> {
        let Some(python) = &self.python else { return Vec::new() };
        PACKAGES.iter().filter_map(|package| Some(format!("{package} {}", venv::version(python, package)?))).collect()
    }

    /// Starts a server; returns `None` if it is not installed.
    pub(crate) async fn start(&self, server: Server) -> anyhow::Result<Option<Running>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut processes = Vec::new();
        match server {
            Server::Gateway => processes.push(self.gateway(address, "gateway.log").await?),
            Server::Nginx => {
                if !nginx::is_installed() {
                    eprintln!("{}", nginx::MISSING);
                    return Ok(None);
                }
                let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
                processes.push(self.gateway(upstream, "gateway-behind-nginx.log").await?);
                processes.push(nginx::start(&self.folder, address, &configure(address, upstream)).await?);
            }
            other => {
                let Some(python) = &self.python else { return Ok(None) };
                let mut command = python_server(python, other, address);
                processes.push(self.listen(&mut command, address, &format!("{}.log", other.name())).await?);
            }
        }
        Ok(Some(Running { server, address, _processes: processes }))
    }

    /// Starts this program as the server.
    async fn gateway(&self, address: SocketAddr, log: &str) -> anyhow::Result<Process> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--serve", &address.port().to_string()]);
        self.listen(&mut command, address, log).await
    }

    async fn listen(&self, command: &mut Command, address: SocketAddr, log: &str) -> anyhow::Result<Process> {
        let log = self.folder.join(log);
        let mut process = Process::start(command, &log)?;
        process.listens(address).await.with_context(|| format!("see {}", log.display()))?;
        Ok(process)
    }
}

fn python_server(python: &Path, server: Server, address: SocketAddr) -> Command {
    let mut command = Command::new(python);
    let bind = address.to_string();
    match server {
        Server::Gunicorn => command
            .args(["-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", THREADS])
            .args(["--keep-alive", "75", "--no-control-socket", "--bind", &bind]),
        Server::Waitress => command
            .args(["-m", "waitress", &format!("--threads={THREADS}"), "--connection-limit=1000"])
            .arg(format!("--listen={bind}")),
        Server::Cheroot => {
            command.args(["-m", "cheroot", "--threads", THREADS, "--request-queue-size", "1024", "--bind", &bind])
        }
        _ => command
            .args(["-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", THREADS])
            .args(["--port", &address.port().to_string()]),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/streams");
    command.arg("application:app").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", &folder).current_dir(folder);
    command
}

/// nginx passes bodies on without buffering, so that the gateway receives incomplete and slow bodies, too.
fn configure(front: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "    upstream servers {{
        server {upstream} max_fails=0;
        keepalive 32;
    }}
    server {{
        listen {front};
        client_max_body_size 0;
        ignore_invalid_headers off;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_next_upstream off;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
        }}
    }}"
    )
}
