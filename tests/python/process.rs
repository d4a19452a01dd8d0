//! Servers in separate processes.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use gateway_tests::{Connection, exit_status, lines, recv, remaining};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// One server. It is killed at the end of the test.
pub(crate) struct Process {
    child: Child,
    printed: Receiver<String>,
    complaints: File,
    /// With the module of the application, which children of the server may import.
    folder: Option<TempDir>,
    /// Of no use if it listens on a Unix socket.
    pub(crate) address: SocketAddr,
}

/// The example `python`, as a command that serves the application with this name.
pub(crate) fn server(name: &str) -> Command {
    command(Path::new("."), &[name, "--port", "0"])
}

/// The command that starts a server in a folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_python_server"));
    command.args(arguments).current_dir(folder);
    command
}

/// Removes the variables of this process, except that of a library in a folder that the system does not search.
pub(crate) fn clear_variables(command: &mut Command) -> &mut Command {
    let libraries = std::env::var_os("LD_LIBRARY_PATH").map(|folders| ("LD_LIBRARY_PATH", folders));
    command.env_clear().envs(libraries)
}

impl Process {
    /// Serves the application that `source` defines as `app`.
    pub(crate) fn start(source: &str, flags: &[&str]) -> Self {
        Self::of(source, server("served:app").args(flags))
    }

    /// Serves the application that `source` defines as `app` in the module `served`, with this command.
    pub(crate) fn of(source: &str, command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("served.py"), source).unwrap();
        let mut started = Self::spawn(command.arg("--python-path").arg(folder.path()));
        started.folder = Some(folder);
        started
    }

    /// Runs a command until it listens.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        // A file, because a pipe could fill up.
        let complaints = tempfile::tempfile().unwrap();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone().unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let printed = lines(child.stdout.take().unwrap());
        let mut line = recv(&printed);
        while !line.starts_with("listening on ") {
            line = recv(&printed);
        }
        let address = line.trim().rsplit('/').next().unwrap().parse();
        let address = address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { child, printed, complaints, folder: None, address }
    }

    /// The body of the response to a GET, which has the status 200, on a new connection.
    pub(crate) fn get(&self, target: &str) -> String {
        let mut connection = Connection::open(self.address);
        let reply = connection.request(&format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!(reply.status(), 200, "{}\n{}", reply.text(), self.log());
        reply.text()
    }

    /// The next line of its stdout.
    pub(crate) fn line(&self) -> String {
        recv(&self.printed)
    }

    /// Its stderr so far.
    pub(crate) fn log(&self) -> String {
        let mut bytes = vec![0; self.complaints.metadata().unwrap().len().try_into().unwrap()];
        // Not from the place of the file, which the process writes at.
        self.complaints.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The growth of the process's peak memory above `before`, in KiB. Each processor batches its page count, so Linux
    /// may also report a peak below an earlier one.
    pub(crate) fn peak_growth(&self, before: u64) -> u64 {
        self.peak_memory().saturating_sub(before)
    }

    /// The peak memory of the process, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("digits")
    }

    /// Stops the process; returns its exit code, its stdout and its stderr.
    pub(crate) fn stop(self) -> (Option<i32>, String, String) {
        let (status, said, complained) = self.stop_by(Signal::TERM);
        (status.code(), said, complained)
    }

    /// Sends a signal that ends the process; returns its exit status, its stdout and its stderr.
    pub(crate) fn stop_by(self, signal: Signal) -> (ExitStatus, String, String) {
        self.signal(signal);
        self.ended()
    }

    /// Waits until the process ends; returns its exit code, its stdout and its stderr.
    pub(crate) fn end(self) -> (Option<i32>, String, String) {
        let (status, said, complained) = self.ended();
        (status.code(), said, complained)
    }

    /// Waits for the end of the process; returns its exit status, its stdout and its stderr.
    pub(crate) fn ended(mut self) -> (ExitStatus, String, String) {
        let said = remaining(&self.printed);
        let status = exit_status(&mut self.child);
        (status, said, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _folder = self.folder.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
