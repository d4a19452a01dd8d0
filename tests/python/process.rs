//! Servers in separate processes.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
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
    pub(crate) address: SocketAddr,
}

/// The example `python`, as a command that serves the application with this name.
pub(crate) fn server(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_python_server"));
    command.args([name, "--port", "0"]);
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

    /// Serves with a command that prints the address.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        // A file, because a pipe could fill up.
        let complaints = tempfile::tempfile().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(complaints.try_clone().unwrap()).spawn().unwrap();
        let printed = lines(child.stdout.take().unwrap());
        let mut line = recv(&printed);
        while !line.contains("http://") {
            line = recv(&printed);
        }
        let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
        Self { child, printed, complaints, folder: None, address }
    }

    /// The body of the response to a GET, which has the status 200.
    pub(crate) fn get(&self, path: &str) -> String {
        let reply = Connection::open(self.address).request(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(reply.status(), 200, "{}\n{}", reply.text(), self.complaints());
        reply.text()
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

    /// What the process has written to stderr.
    pub(crate) fn complaints(&self) -> String {
        let (mut text, mut file) = (String::new(), &self.complaints);
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
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

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process; returns its exit status, its stdout and its stderr.
    pub(crate) fn ended(mut self) -> (ExitStatus, String, String) {
        let said = remaining(&self.printed);
        let status = exit_status(&mut self.child);
        (status, said, self.complaints())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _folder = self.folder.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
