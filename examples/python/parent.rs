//! The parent of several processes that serve on one socket. It never starts Python.
//!
//! It opens the socket once and passes it to its workers, as systemd does (`LISTEN_FDS`). Each worker has a place, and
//! on TCP under Linux a listener of its own, which the parent keeps open: connections that wait there when a worker
//! dies, or is replaced, are accepted by its successor.
//!
//! The first worker of a generation starts alone; when it listens, the others start. A new worker that listens lets the
//! one of the generation before it in its place drain. A worker that dies is replaced.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use gateway::serve::stop_signals;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::flags::{Listener, Socket};
use super::worker::{Order, Pipes};

/// A worker that lives for a shorter time than this has died at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);

/// How long the parent waits before it replaces a worker that has died at once. Doubled for each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// How long a worker may take beyond its grace and its exit time before it is killed: to hand over, to reset
/// connections, and to write its log.
const BEYOND_GRACE: Duration = Duration::from_secs(15);

/// What the parent is told to do.
pub(crate) struct Plan {
    /// The number of workers.
    pub(crate) workers: usize,
    /// The command line of this process, without the program, which each worker gets, too.
    pub(crate) arguments: Vec<OsString>,
    /// How long a worker that is stopped waits for its requests.
    pub(crate) grace: Duration,
    /// How long Python may take to end after that.
    pub(crate) exit: Duration,
    /// Files that have changed: all workers are replaced.
    pub(crate) changes: Option<mpsc::Receiver<PathBuf>>,
}

/// Serves until a signal stops it. Returns the exit code: that of the first worker, if it cannot serve.
///
/// SIGTERM and SIGINT let all workers drain, and stop them at once the second time. SIGHUP replaces all workers; from a
/// terminal, which sends it when it closes, it stops them.
pub(crate) async fn run(socket: Socket, plan: Plan) -> anyhow::Result<ExitCode> {
    let (first, second) = stop_signals()?;
    tokio::pin!(first, second);
    let mut stops = 0;
    let mut hangups = signal(SignalKind::hangup())?;
    let is_interactive = io::stderr().is_terminal();
    let (sender, mut events) = mpsc::unbounded_channel();
    let Plan { workers, arguments, grace, exit, mut changes } = plan;
    let url = socket.listeners.first().context("there is no socket")?.url()?;
    let Socket { listeners, file: _file, .. } = socket;
    let mut parent = Parent {
        // Resolved now: the file may be replaced by a newer version, which a SIGHUP then starts.
        program: std::env::current_exe().context("the path of this program")?,
        arguments,
        listeners: Some(listeners),
        url,
        count: workers,
        longest_drain: grace + exit + BEYOND_GRACE,
        is_watching: changes.is_some(),
        workers: Vec::new(),
        generation: 0,
        has_listened: false,
        is_stale: false,
        early_deaths: 0,
        next_start: None,
        next_number: 1,
        events: sender,
        exit_code: 0,
    };
    loop {
        parent.start_missing()?;
        if parent.listeners.is_none() && parent.workers.is_empty() {
            return Ok(ExitCode::from(parent.exit_code));
        }
        let due = parent.next_due();
        tokio::select! {
            Some(event) = events.recv() => parent.note(event),
            () = &mut first, if stops == 0 => {
                stops = 1;
                parent.stop(Order::Drain);
            }
            () = &mut second, if stops == 1 => {
                stops = 2;
                parent.stop(Order::Cut);
            }
            _ = hangups.recv() => match is_interactive {
                true => parent.stop(Order::Drain),
                false => parent.replace("SIGHUP"),
            },
            Some(path) = next(&mut changes) => {
                parent.replace(&format!("{} has changed", path.display()));
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => parent.kill_overdue(),
        }
    }
}

/// The next change, if any are watched for.
async fn next(changes: &mut Option<mpsc::Receiver<PathBuf>>) -> Option<PathBuf> {
    changes.as_mut()?.recv().await
}

enum Event {
    /// It listens.
    Ready(u64),
    Exited(u64, io::Result<ExitStatus>),
}

/// A process that serves.
struct Worker {
    number: u64,
    place: usize,
    generation: u64,
    pid: Pid,
    /// It reads a byte as the order to stop, and the end as the death of its parent.
    control: io::PipeWriter,
    started: Instant,
    is_ready: bool,
    /// When it is killed; set when it is told to stop.
    deadline: Option<Instant>,
}

impl Worker {
    /// Tells it to stop. A worker that does not listen yet has no request to lose.
    fn stop(&mut self, order: Order, longest: Duration) {
        match self.is_ready {
            // A worker that has just died does not read: its exit is noted soon.
            true => drop(self.control.write_all(&[order.byte()])),
            false => self.kill(if order == Order::Cut { Signal::KILL } else { Signal::TERM }),
        }
        let deadline = Instant::now() + if order == Order::Cut { BEYOND_GRACE } else { longest };
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    fn kill(&self, signal: Signal) {
        // The process has not been waited for, so its id is still its own.
        if let Err(error) = kill_process(self.pid, signal) {
            tracing::debug!(target: "server", pid = self.pid.as_raw_pid(), %error, "no signal");
        }
    }
}

struct Parent {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// `None` when the parent stops: from then on, clients are refused as soon as the workers no longer listen.
    listeners: Option<Vec<Listener>>,
    url: String,
    count: usize,
    longest_drain: Duration,
    /// Whether files that change replace the workers.
    is_watching: bool,
    workers: Vec<Worker>,
    generation: u64,
    /// A worker has listened: the application can be loaded.
    has_listened: bool,
    /// A replacement was asked for before the first worker has listened.
    is_stale: bool,
    /// Workers that have died at once since one has lived for longer.
    early_deaths: u32,
    /// No worker starts before this moment.
    next_start: Option<Instant>,
    next_number: u64,
    events: mpsc::UnboundedSender<Event>,
    exit_code: u8,
}

impl Parent {
    /// Starts the workers of this generation that are missing.
    fn start_missing(&mut self) -> anyhow::Result<()> {
        if self.next_start.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        self.next_start = None;
        let is_current = |worker: &&Worker| worker.generation == self.generation && worker.deadline.is_none();
        let current = || self.workers.iter().filter(is_current);
        let has_listened = current().any(|worker| worker.is_ready);
        let mut missing: Vec<usize> =
            (0..self.count).filter(|place| !current().any(|worker| worker.place == *place)).collect();
        if !has_listened {
            // One starts alone. If it does already, no other.
            missing.truncate(usize::from(current().next().is_none()));
        }
        for place in missing {
            let Some(listeners) = &self.listeners else { return Ok(()) };
            match self.start(place, &listeners[place % listeners.len()]) {
                Ok(worker) => {
                    self.next_number += 1;
                    self.workers.push(worker);
                }
                Err(error) if !self.has_listened => return Err(error),
                Err(error) => {
                    tracing::error!(target: "server", "{error:#}");
                    self.delay();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Starts a worker, and a task that reports when it listens and when it has ended.
    fn start(&self, place: usize, listener: &Listener) -> anyhow::Result<Worker> {
        let (their_control, control) = io::pipe()?;
        let (ready, their_ready) = io::pipe()?;
        let is_shared = self.listeners.as_ref().is_some_and(|listeners| listeners.len() < self.count);
        let pipes = Pipes {
            control: their_control.as_raw_fd(),
            ready: their_ready.as_raw_fd(),
            is_shared,
            parent: getpid().as_raw_pid(),
        };
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--pipes-of-parent={pipes}"))
            .args(&self.arguments)
            // The `listenfd` crate, which reads them, takes an absent process id for the own one.
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", listener.as_fd().as_raw_fd().to_string())
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES");
        if self.is_watching {
            // Python uses a cached module if its source has the same time, in whole seconds, and the same length.
            command.env("PYTHONDONTWRITEBYTECODE", "1");
        }
        // The child inherits these three, with the same numbers. No other thread starts a process meanwhile.
        let inherited = [listener.as_fd(), their_control.as_fd(), their_ready.as_fd()];
        inherited.iter().try_for_each(|descriptor| fcntl_setfd(descriptor, FdFlags::empty()))?;
        let child = tokio::process::Command::from(command).spawn();
        fcntl_setfd(listener, FdFlags::CLOEXEC)?;
        let mut child = child.with_context(|| format!("cannot start {}", self.program.display()))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).context("the process has ended")?;
        let mut ready = pipe::Receiver::from_owned_fd(ready.into())?;
        let (number, events) = (self.next_number, self.events.clone());
        tokio::spawn(async move {
            let mut byte = [0];
            // A process that the application has started may keep the pipe open after the end of the worker.
            let ended = tokio::select! {
                Ok(1) = ready.read(&mut byte) => {
                    let _ = events.send(Event::Ready(number));
                    child.wait().await
                }
                ended = child.wait() => ended,
            };
            // The receiver lives as long as the parent.
            let _ = events.send(Event::Exited(number, ended));
        });
        let (generation, started) = (self.generation, Instant::now());
        tracing::debug!(target: "server", pid = pid.as_raw_pid(), "a worker starts");
        Ok(Worker { number, place, generation, pid, control, started, is_ready: false, deadline: None })
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Ready(number) => self.ready(number),
            Event::Exited(number, status) => {
                let Some(at) = self.workers.iter().position(|worker| worker.number == number) else { return };
                let worker = self.workers.swap_remove(at);
                match status {
                    Ok(status) => self.exited(&worker, status),
                    Err(error) => tracing::error!(target: "server", %error, "a worker cannot be waited for"),
                }
            }
        }
    }

    fn ready(&mut self, number: u64) {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.number == number) else { return };
        worker.is_ready = true;
        // It has been given up meanwhile, for another one.
        if worker.deadline.is_some() {
            return;
        }
        let (place, generation) = (worker.place, worker.generation);
        tracing::info!(target: "server", pid = worker.pid.as_raw_pid(), "a worker listens");
        if !self.has_listened {
            self.has_listened = true;
            // Without a reader of stdout it serves all the same.
            let _ = writeln!(io::stdout(), "listening on {}", self.url);
        }
        for old in self.workers.iter_mut().filter(|old| old.place == place && old.generation < generation) {
            if old.deadline.is_none() {
                // A developer who has changed a file wants no further answer of the old process.
                old.stop(if self.is_watching { Order::Drain } else { Order::HandOver }, self.longest_drain);
            }
        }
        if std::mem::take(&mut self.is_stale) {
            self.replace("a change during the start");
        }
    }

    fn exited(&mut self, worker: &Worker, status: ExitStatus) {
        let pid = worker.pid.as_raw_pid();
        if worker.deadline.is_some() || self.listeners.is_none() {
            match status.success() || !worker.is_ready {
                true => tracing::info!(target: "server", pid, "a worker has stopped"),
                false => tracing::error!(target: "server", pid, "a worker that was stopped has died: {status}"),
            }
            return;
        }
        if !worker.is_ready && !self.has_listened {
            // The worker has said why.
            self.exit_code = status.code().and_then(|code| code.try_into().ok()).filter(|code| *code != 0).unwrap_or(1);
            if let Some(signal) = status.signal() {
                tracing::error!(target: "server", pid, "the first worker was killed by signal {signal} as it started");
            }
            self.stop(Order::Drain);
            return;
        }
        let is_replacement =
            self.workers.iter().any(|other| other.generation != self.generation && other.deadline.is_none());
        if !worker.is_ready && is_replacement {
            tracing::error!(target: "server", pid, "a new worker cannot serve ({status}): the old ones continue");
            for old in &mut self.workers {
                old.generation = self.generation;
            }
        } else if worker.is_ready && status.success() {
            tracing::warn!(target: "server", pid, "a worker was stopped by a signal; another one takes its place");
        } else {
            tracing::error!(target: "server", pid, "a worker has died: {status}; another one takes its place");
        }
        let died_early = worker.started.elapsed() < SHORT_LIFE && !(worker.is_ready && status.success());
        if died_early { self.delay() } else { self.early_deaths = 0 }
    }

    /// Delays the next start.
    fn delay(&mut self) {
        let delay = LONGEST_DELAY.min(FIRST_DELAY * 2_u32.pow(self.early_deaths.min(10)));
        self.early_deaths += 1;
        if self.early_deaths > 2 {
            let deaths = self.early_deaths;
            tracing::error!(target: "server", "{deaths} workers in a row have died within {SHORT_LIFE:?}: the next one starts in {delay:?}");
        }
        self.next_start = Some(Instant::now() + delay);
    }

    /// Starts a new generation of workers, which replaces this one. A worker that has not listened yet is given up.
    fn replace(&mut self, why: &str) {
        if self.listeners.is_none() {
            return;
        }
        if !self.has_listened {
            // The first worker may have read the old files: replaced as soon as it listens.
            self.is_stale = true;
            return;
        }
        tracing::info!(target: "server", "{why}: all workers are replaced");
        self.generation += 1;
        (self.early_deaths, self.next_start) = (0, None);
        for worker in self.workers.iter_mut().filter(|worker| !worker.is_ready && worker.deadline.is_none()) {
            worker.stop(Order::Drain, self.longest_drain);
        }
    }

    /// Stops all workers.
    fn stop(&mut self, order: Order) {
        self.listeners = None;
        for worker in &mut self.workers {
            worker.stop(order, self.longest_drain);
        }
    }

    /// The next moment at which something has to be done.
    fn next_due(&self) -> Option<Instant> {
        let start = self.next_start.filter(|_| self.listeners.is_some());
        self.workers.iter().filter_map(|worker| worker.deadline).chain(start).min()
    }

    /// Kills the workers that do not end.
    fn kill_overdue(&mut self) {
        for worker in &mut self.workers {
            if worker.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                tracing::error!(target: "server", pid = worker.pid.as_raw_pid(), "a worker does not stop: killed");
                worker.kill(Signal::KILL);
                // Its exit is noted soon; not again until then.
                worker.deadline = Some(Instant::now() + self.longest_drain);
            }
        }
    }
}
