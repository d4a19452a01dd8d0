//! What runs on a pool.

use std::thread;
use std::time::Instant;

use crate::pool::Running;
use crate::sync::{Mutex, lock};
use crate::worker::Job;

/// The jobs that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs {
    jobs: Mutex<Vec<(String, Instant, String)>>,
}

impl RunningJobs {
    /// Runs a job, and lists it meanwhile.
    pub(crate) fn run(&self, job: Job) {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        lock(&self.jobs).push((job.mount_name(), Instant::now(), thread.clone()));
        job.run();
        lock(&self.jobs).retain(|(_, _, known)| *known != thread);
    }

    pub(crate) fn list(&self) -> Vec<Running> {
        lock(&self.jobs)
            .iter()
            .map(|(mount, since, thread)| Running::new(mount.clone(), since.elapsed(), thread.clone()))
            .collect()
    }
}
