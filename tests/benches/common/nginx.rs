//! nginx in front of a server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Process;

/// The message when nginx is not installed.
pub(crate) const MISSING: &str = "nginx is missing (on Debian: apt-get install nginx-light), and left out";

pub(crate) fn is_installed() -> bool {
    Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Starts nginx as one process, which ends with this program. `http` is the content of its `http` block, without the
/// paths of its own files.
pub(crate) async fn start(folder: &Path, front: SocketAddr, http: &str) -> anyhow::Result<Process> {
    let folder = folder.join("nginx");
    fs::create_dir_all(&folder)?;
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, configure(http))?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(&configuration).args(["-e", "error.log"]);
    let mut nginx = Process::start(&mut command, &folder.join("output.log"))?;
    nginx.listens(front).await?;
    Ok(nginx)
}

fn configure(http: &str) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 100000;
{http}
}}
"
    )
}
