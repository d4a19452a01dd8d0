//! HAProxy in front of a server; its connections to the server are shared by all clients.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Process;

/// The message when HAProxy is not installed.
pub(crate) const MISSING: &str = "HAProxy is missing (on Debian: apt-get install haproxy), and left out";

pub(crate) fn is_installed() -> bool {
    Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Starts HAProxy as one process, which ends when this program ends.
pub(crate) async fn start(folder: &Path, front: SocketAddr, server: SocketAddr) -> anyhow::Result<Process> {
    let configuration = folder.join("haproxy.cfg");
    fs::write(&configuration, configure(front, server))?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&configuration);
    let mut haproxy = Process::start(&mut command, &folder.join("haproxy.log"))?;
    haproxy.listens(front).await?;
    Ok(haproxy)
}

fn configure(front: SocketAddr, server: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    retries 0
frontend front
    bind {front}
    default_backend servers
backend servers
    http-reuse always
    server one {server}
"
    )
}
