//! A server as a separate process: start, stop, and resource usage.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// A process that this program has started. Dropping it kills the process and its children.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// The resources of a process and its children at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) threads: usize,
    /// The number of open files of the process itself.
    pub(crate) files: usize,
}

impl Usage {
    /// The growth of memory since `before`, in bytes.
    pub(crate) fn growth(&self, before: &Self) -> f64 {
        self.memory as f64 - before.memory as f64
    }
}

/// The resources that a process and its children have used since their start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU time, user and system.
    pub(crate) cpu: Duration,
    /// The peak of resident memory in bytes: the sum of the peaks of all processes, which counts shared pages once for
    /// each process.
    pub(crate) peak: u64,
}

impl Process {
    /// Starts a program; its output goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = fs::File::create(log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM).context("SIGTERM")
    }

    /// Waits for the exit status; returns `None` if the process still runs after the timeout.
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

    /// Waits until the process accepts connections on the address.
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
            // The name of the program comes first, and may contain any character, so search for the last bracket.
            let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
            // The CPU times of the process itself, and of its children that have exited.
            let times = after_name.split_whitespace().skip(11).take(4).map(str::parse::<u64>);
            ticks += times.sum::<Result<u64, _>>()?;
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            peak += field(&status, "VmHWM:").context("no peak in status")? * 1024;
        }
        let milliseconds = ticks * 1000 / rustix::param::clock_ticks_per_second();
        Ok(Cost { cpu: Duration::from_millis(milliseconds), peak })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).context("the process id is 0")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // List the children before their parent is killed, because they cannot be found afterwards.
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

/// The ids of a process and of all its descendants.
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

/// Reads a number from the text of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Raises this program's limit of open files to the maximum; child processes inherit it. Returns the limit. A limit
/// below `least` is an error.
pub(crate) fn raise_file_limit(least: u64) -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < least {
        bail!("up to {least} files have to be open at once, and {files} may be; see ulimit -n");
    }
    Ok(files)
}

/// The target folder of cargo: this program is `target/release/deps/NAME-….`
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.ancestors().nth(3).context("this program is not in a target folder")?.to_owned())
}

/// Creates a folder in the target folder for the files of a run. The logs of the last run are removed.
pub(crate) fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = target()?.join(name);
    fs::create_dir_all(&folder)?;
    forget_logs(&folder)?;
    Ok(folder)
}

/// Runs `cargo build --release` in this workspace with the given arguments.
pub(crate) fn build(arguments: &[&str], set: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    set(&mut command);
    command.args(["build", "--release", "--quiet", "--target-dir"]).arg(target()?).args(arguments);
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).status().context("cargo")?;
    if !status.success() {
        bail!("cargo cannot build {}", arguments.join(" "));
    }
    Ok(())
}

/// Runs until the future completes or a signal stops the program: then `run` is dropped, and its servers with it.
pub(crate) async fn unless_stopped<T>(run: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run => done,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to stop"),
    }
}

/// The exit code of a run: 1 if limits were missed, and 2 if the run failed.
pub(crate) fn exit_code(missed: anyhow::Result<usize>) -> ExitCode {
    match missed {
        Ok(missed) => ExitCode::from(u8::from(missed > 0)),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// A free port.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn forget_logs(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
