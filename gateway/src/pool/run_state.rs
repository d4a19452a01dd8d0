//! Whether a thread is runnable, as the system reports it.
//!
//! Threads: any; reads a file of `/proc`.

/// The run state of one thread, to be read by any other.
#[derive(Debug)]
pub(crate) struct RunState {
    /// The `stat` file of the thread; with `/proc` mounted.
    #[cfg(target_os = "linux")]
    stat: Option<std::fs::File>,
}

impl RunState {
    /// The run state of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            stat: std::fs::File::open("/proc/thread-self/stat").ok(),
        }
    }

    /// Whether the thread runs or waits for a CPU. `None` if the system does not report it.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_runnable(&self) -> Option<bool> {
        use std::os::unix::fs::FileExt as _;

        // The state is one letter after the name. The name is short, in brackets, and may contain brackets.
        let mut text = [0; 128];
        let length = self.stat.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = &text[..length];
        let name_end = memchr::memrchr(b')', text)?;
        Some(*text.get(name_end + 2)? == b'R')
    }

    /// Whether the thread runs or waits for a CPU. `None` if the system does not report it.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn is_runnable(&self) -> Option<bool> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(gateway_loom)))]
mod tests {
    use super::*;
    use crate::bound::{join, recv, until};

    #[test]
    fn a_thread_that_waits_is_not_runnable_and_one_that_computes_is() {
        let (report, run_states) = std::sync::mpsc::channel();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("a) R (b".to_owned()).spawn(move || {
            report.send(RunState::of_this_thread()).unwrap();
            let _ = gate.recv();
        });
        let run_state = recv(&run_states);
        // The gate stays closed.
        until("the thread waits for the gate", || run_state.is_runnable() != Some(true));
        assert_eq!(run_state.is_runnable(), Some(false));
        assert_eq!(RunState::of_this_thread().is_runnable(), Some(true));
        drop(open);
        join(thread.unwrap());
    }
}
