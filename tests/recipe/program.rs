//! A program of a page, as a process.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use gateway_tests::{BOUND, exit_status, lines};
use rustix::process::{Pid, Signal, kill_process};

use crate::ADDRESS;
use crate::listing::fits;

/// The program that the reader has started.
pub(crate) struct RunningProgram {
    child: Child,
    lines: Receiver<String>,
    /// The output since the reader's last look.
    printed: String,
}

impl RunningProgram {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines, printed: String::new() }
    }

    /// Waits until the program has printed this output, after any other output.
    pub(crate) fn expect(&mut self, output: &str, address: &str) {
        let pattern = format!("…{}", output.trim());
        while !fits(&pattern, self.printed.trim_end()) {
            let Ok(line) = self.lines.recv_timeout(BOUND) else {
                panic!("the program prints\n{}\nand the page says\n{output}", self.printed);
            };
            self.printed += &line.replace(address, ADDRESS);
            self.printed.push('\n');
        }
        self.printed.clear();
    }

    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn end(mut self) {
        let status = exit_status(&mut self.child);
        assert!(status.success(), "{status}\n{}", self.printed);
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
