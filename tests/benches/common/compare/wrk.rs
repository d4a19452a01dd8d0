//! The load: runs wrk and parses its output.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::plan::Load;

/// The figures of one run of wrk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The number of responses with a status of 400 or above. The content of the responses was checked before the run.
    pub(crate) refused: u64,
    /// The number of connection errors and of responses after wrk's timeout.
    pub(crate) broken: u64,
}

/// The version of wrk, if wrk is installed.
pub(crate) async fn version() -> anyhow::Result<String> {
    match Command::new("wrk").arg("-v").output().await {
        // wrk prints its version and exits with an error status.
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(text.split_whitespace().nth(1).unwrap_or("unknown").to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("wrk is missing: apt-get install wrk"),
        Err(error) => Err(error).context("wrk"),
    }
}

/// Puts a server under load for `seconds`.
pub(crate) async fn run(address: SocketAddr, load: &Load, seconds: u64) -> anyhow::Result<Seen> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/common/compare/wrk.lua");
    let output = Command::new("wrk")
        .args(["--threads", &threads().to_string(), "--timeout", "10"])
        .args(["--connections", &load.connections.to_string(), "--duration", &seconds.to_string()])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{address}{}", load.path))
        .arg("--")
        .args([load.fields, load.body, load.rows].map(|number| number.to_string()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).with_context(|| format!("wrk says {text:?} and {:?}", String::from_utf8_lossy(&output.stderr)))
}

/// Parses the output line of `wrk.lua`.
fn read(text: &str) -> anyhow::Result<Seen> {
    let line = text.lines().find_map(|line| line.strip_prefix("figures ")).context("no figures in the output")?;
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [requests, duration, mean, p50, p99, refused, broken] = numbers[..] else {
        bail!("these are not seven figures")
    };
    if requests == 0 || duration == 0 {
        bail!("nothing was answered");
    }
    Ok(Seen {
        requests,
        seconds: duration as f64 / 1e6,
        mean_ms: mean as f64 / 1e3,
        p50_ms: p50 as f64 / 1e3,
        p99_ms: p99 as f64 / 1e3,
        refused,
        broken,
    })
}

/// One thread for each two CPUs: with one thread per CPU, wrk would compete with the server for CPU time.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}
