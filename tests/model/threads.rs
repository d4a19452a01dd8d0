//! Threads for blocking applications, compatible with a paused clock.
//!
//! A runtime with a paused clock advances it when all tasks wait. It cannot know whether an application on a thread
//! computes or waits for a body. Therefore the runtime waits here, before it parks, until the operating system reports
//! that all application threads sleep: then only the runtime can wake a thread.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gateway::{Accepted, Executor, Job, Refused};

/// Whether the operating system reports the state of threads.
pub(crate) const ARE_THERE: bool = cfg!(target_os = "linux");

/// An executor with a thread for each job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Threads(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of threads that run or are about to start.
    alive: AtomicUsize,
    /// The files in which the operating system reports the state of each started thread.
    begun: Mutex<Vec<String>>,
}

/// Whether a thread sleeps, and how often it has gone to sleep.
type Sleep = (bool, String);

impl Threads {
    pub(crate) fn alive(&self) -> usize {
        self.0.alive.load(SeqCst)
    }

    fn start(&self, job: Job) {
        self.0.alive.fetch_add(1, SeqCst);
        let threads = self.clone();
        std::thread::spawn(move || {
            let path = fs::read_link("/proc/thread-self").expect("the system shows its threads");
            let path = format!("/proc/{}/status", path.display());
            threads.0.begun.lock().expect("no panic").push(path.clone());
            job.run();
            threads.0.begun.lock().expect("no panic").retain(|begun| *begun != path);
            threads.0.alive.fetch_sub(1, SeqCst);
        });
    }

    /// Blocks until all threads sleep.
    pub(crate) fn settle(&self) {
        while self.alive() > 0 {
            // A thread that was checked early may be woken by one that is checked later, so two consecutive checks must
            // agree.
            let before = self.sleeps();
            let is_settled = before.as_ref().is_some_and(|sleeps| sleeps.iter().all(|(sleeps, _)| *sleeps));
            if is_settled && before == self.sleeps() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Returns `None` while a thread is about to start or to exit.
    fn sleeps(&self) -> Option<Vec<Sleep>> {
        let begun = self.0.begun.lock().expect("no panic").clone();
        if begun.len() != self.alive() {
            return None;
        }
        begun.iter().map(|path| sleep(&fs::read_to_string(path).ok()?)).collect()
    }
}

fn sleep(status: &str) -> Option<Sleep> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("State:")?.starts_with('S'), field("voluntary_ctxt_switches:")?.to_owned()))
}

#[async_trait]
impl Executor for Threads {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.start(job);
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.start(job);
        Ok(Accepted::at_once())
    }
}
