//! Servers in separate processes.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use gateway_tests::{exit_status, lines, recv, remaining};
use rustix::process::{Pid, Signal, kill_process};

/// One server. It is killed at the end of the test.
pub(crate) struct Process {
    child: Child,
    printed: Receiver<String>,
    complaints: File,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Serves the application that `source` defines as `app`.
    pub(crate) fn start(source: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("served.py"), source).unwrap();
        let path = folder.path().to_str().unwrap();
        Self::serve("served:app", &[&["--python-path", path], flags].concat())
    }

    /// Serves the application with this name.
    pub(crate) fn serve(name: &str, flags: &[&str]) -> Self {
        // A file, because a pipe could fill up.
        let complaints = tempfile::tempfile().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_python_server"))
            .args([name, "--port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone().unwrap())
            .spawn()
            .unwrap();
        let printed = lines(child.stdout.take().unwrap());
        let mut line = recv(&printed);
        while !line.contains("http://") {
            line = recv(&printed);
        }
        let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
        Self { child, printed, complaints, address }
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
    pub(crate) fn stop(mut self) -> (Option<i32>, String, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let (said, mut complained) = (remaining(&self.printed), String::new());
        self.complaints.rewind().unwrap();
        self.complaints.read_to_string(&mut complained).unwrap();
        (exit_status(&mut self.child).code(), said, complained)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
