//! How many threads of a pool are in which state.
//!
//! Threads: any; under the lock of the queue.

use crate::pool::thread_table::{CurrentJob, ThreadState};

/// How many slots are in each state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StateCounts {
    vacant: usize,
    starting: usize,
    idle: usize,
    waking: usize,
    between_jobs: usize,
    busy: usize,
    leaving: usize,
    driving: usize,
    driving_busy: usize,
    /// Busy threads whose job is slow.
    slow: usize,
    /// Busy threads whose job is long.
    long: usize,
}

/// How many threads are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadCounts {
    /// Worker threads, including threads that are being started.
    pub(crate) live: usize,
    /// Drivers with a job.
    pub(crate) driving_busy: usize,
    /// Threads that were told to leave and have not left yet.
    pub(crate) leaving: usize,
    /// Waking threads.
    pub(crate) waking: usize,
    /// Waking threads, threads between two jobs, and threads with a job.
    pub(crate) active: usize,
    /// Threads with a job.
    pub(crate) busy: usize,
    /// Threads whose job was slow at the last classification.
    pub(crate) slow: usize,
    /// Threads whose job was long at the last classification.
    pub(crate) long: usize,
}

impl StateCounts {
    pub(super) fn sums(&self) -> ThreadCounts {
        let Self { starting, idle, waking, between_jobs, busy, leaving, driving_busy, slow, long, .. } = *self;
        let active = waking + between_jobs + busy;
        let live = starting + idle + active + leaving;
        ThreadCounts { live, driving_busy, leaving, waking, active, busy, slow, long }
    }

    /// All busy threads are about to be counted again by the ages of their jobs.
    pub(super) fn forget_ages(&mut self) {
        (self.slow, self.long) = (0, 0);
    }

    pub(super) fn add_ages<H>(&mut self, work: &CurrentJob<H>) {
        self.slow += usize::from(work.is_slow);
        self.long += usize::from(work.is_long);
    }

    fn of<H>(&mut self, state: &ThreadState<H>) -> &mut usize {
        match state {
            ThreadState::Vacant => &mut self.vacant,
            ThreadState::Starting => &mut self.starting,
            ThreadState::Idle => &mut self.idle,
            ThreadState::Waking => &mut self.waking,
            ThreadState::BetweenJobs => &mut self.between_jobs,
            ThreadState::Busy(_) => &mut self.busy,
            ThreadState::Leaving => &mut self.leaving,
            ThreadState::Driving => &mut self.driving,
            ThreadState::DrivingBusy(_) => &mut self.driving_busy,
        }
    }

    /// A new slot.
    pub(super) fn add_vacant(&mut self) {
        self.vacant += 1;
    }

    pub(super) fn add<H>(&mut self, state: &ThreadState<H>) {
        *self.of(state) += 1;
        if let ThreadState::Busy(work) = state {
            self.add_ages(work);
        }
    }

    pub(super) fn take_away<H>(&mut self, state: &ThreadState<H>) {
        *self.of(state) -= 1;
        if let ThreadState::Busy(work) = state {
            self.slow -= usize::from(work.is_slow);
            self.long -= usize::from(work.is_long);
        }
    }
}

impl ThreadCounts {
    /// Threads that were not told to leave.
    pub(crate) fn staying(&self) -> usize {
        self.live - self.leaving
    }
}
