//! A server as a process of its own: its start, its end, and what the system says of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// A process that this program has started, and that does not outlive it: dropping ends it, with its children.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// What the system says of a process and its children at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) threads: usize,
    /// Open files; of the process alone.
    pub(crate) files: usize,
}

impl Usage {
    /// How many bytes of memory more than before.
    pub(crate) fn growth(&self, before: &Self) -> f64 {
        self.memory as f64 - before.memory as f64
    }
}

/// What a process and its children have used from their start to one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Processor time, in the system as well.
    pub(crate) cpu: Duration,
    /// The most memory that was ever resident, in bytes; the sum of what each had at most, in which shared pages are
    /// counted for each.
    pub(crate) peak: u64,
}

impl Process {
    /// Starts a program; what it says goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = fs::File::create(log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM).context("SIGTERM")
    }

    /// How it ended, once it has; `None` if it still runs after that time.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if start.elapsed() >= within {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it accepts connections there.
    pub(crate) async fn listens(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let start = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status} before it listened");
            }
            if start.elapsed() > Duration::from_secs(20) {
                bail!("does not listen on {address}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        for pid in family(self.child.id()) {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            usage.memory += field(&status, "VmRSS:").unwrap_or(0) * 1024;
            usage.threads += field(&status, "Threads:").unwrap_or(0) as usize;
        }
        usage.files = fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count();
        Ok(usage)
    }

    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        let (mut ticks, mut peak) = (0, 0);
        for pid in family(self.child.id()) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The name of the program comes first, and may hold anything, but for the last bracket.
            let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
            // Its own, and that of the children that have ended.
            let times = after_name.split_whitespace().skip(11).take(4).map(str::parse::<u64>);
            ticks += times.sum::<Result<u64, _>>()?;
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            peak += field(&status, "VmHWM:").context("no peak in status")? * 1024;
        }
        let milliseconds = ticks * 1000 / rustix::param::clock_ticks_per_second();
        Ok(Cost { cpu: Duration::from_millis(milliseconds), peak })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).context("no process has the number 0")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // The children have to be known before their parent is gone.
        let family = family(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in family.into_iter().skip(1) {
            if let Some(pid) = Pid::from_raw(child.cast_signed()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        next += 1;
        for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    family
}

/// A number of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Raises this program's limit of open files, which the programs it starts inherit, as far as it may; and says how far.
pub(crate) fn raise_file_limit() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Removes what the servers of the last run said.
pub(crate) fn forget_logs(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
