//! Programs that a test starts.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use crate::bound::{BOUND, wait_for, wait_for_up_to};

/// The lines of a stream, which a separate thread reads.
pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

/// All lines up to the end of the stream.
#[track_caller]
pub fn remaining(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(BOUND) {
            Ok(line) => text.extend([&line, "\n"]),
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("the stream does not end after\n{text}"),
        }
    }
}

/// The exit status of a program that ends by itself.
#[track_caller]
pub fn exit_status(child: &mut Child) -> ExitStatus {
    wait_for("the program ends", || child.try_wait().expect("a child"))
}

/// Runs a program to its end: returns its exit status, its stdout and its stderr. The bound is long enough for programs
/// that compile and download.
#[track_caller]
pub fn run(command: &mut Command) -> (ExitStatus, String, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let written = [child.stdout.take().map(lines), child.stderr.take().map(lines)];
    let status = wait_for_up_to(20 * BOUND, "the program ends", || child.try_wait().expect("a child"));
    let [stdout, stderr] = written.map(|lines| lines.as_ref().map(remaining).unwrap_or_default());
    (status, stdout, stderr)
}
