//! A thread that drives connections.
//!
//! Threads: drivers; blocks.

use std::sync::Arc;

use crate::catch_panic::catch_panic;
use crate::job::Job;
use crate::log;
use crate::pool::drivers::driver_slot::{Closed, DriverSlot};
use crate::pool::drivers::local::{self, Doing, Local};
use crate::pool::drivers::run_queue::Next;
use crate::pool::drivers::task::Task;
use crate::pool::drivers::{Shared, SharedSlot};
use crate::pool::queue::EndedHere;
use crate::pool::thread_table::WorkerId;

/// After this many polls the reactor is looked at, even if the run queue is never empty. A poll that has had its share
/// of reads and writes counts as all of them.
const POLLS_PER_LOOK: u32 = 61;

/// How often in a row the slot of the driver comes before the run queue.
const MOST_IN_A_ROW: u32 = 8;

/// A thread while it drives.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    id: WorkerId,
    slot: SharedSlot,
}

/// Why a thread drives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A job has run for so long that another thread drives in this one's place.
    Held,
    /// There is no connection, and there will be none.
    Closed,
    /// Polls and jobs are caught by themselves: it may drive again.
    Panicked,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, id: WorkerId) -> Self {
        Self { shared, id, slot: Arc::new(DriverSlot::new()) }
    }

    /// Drives connections.
    pub(crate) fn drive(self) -> End {
        let (shared, slot) = (Arc::clone(&self.shared), Arc::clone(&self.slot));
        shared.enlist(self.id, &slot);
        shared.queue.join();
        local::enter(Local { shared: Arc::clone(&shared), id: self.id, slot, doing: Doing::Other });
        let end = catch_panic(|| self.drive_on());
        let is_leading = local::leave();
        shared.forget(self.id);
        // The response of the last job may have woken its connection before the watch could close the slot.
        let (task, job) = self.slot.close();
        if let Some(task) = task {
            shared.queue.push(task);
        }
        // After a panic of the driver.
        if let Some(job) = job {
            shared.threads.perform(shared.threads.queue.give_back(self.id, job));
        }
        end.unwrap_or_else(|panicked| {
            log::error!(error = %panicked, "a driver panicked");
            if is_leading {
                shared.queue.stop_leading();
            }
            shared.queue.leave();
            End::Panicked
        })
    }

    fn drive_on(&self) -> End {
        let queue = &self.shared.queue;
        let (mut polls, mut in_a_row) = (0, 0);
        loop {
            match self.slot.take_job() {
                Ok(None) => {}
                Ok(Some(job)) => {
                    polls += 1;
                    if !self.run_job(job) {
                        return End::Held;
                    }
                }
                Err(Closed) => return End::Held,
            }
            if let Some(task) = self.slot.take_task() {
                in_a_row += 1;
                if in_a_row <= MOST_IN_A_ROW {
                    polls += self.poll(task);
                    continue;
                }
                queue.push(task);
            }
            in_a_row = 0;
            if polls >= POLLS_PER_LOOK {
                polls = 0;
                if queue.try_lead() {
                    self.look();
                }
            }
            match queue.next() {
                Next::Poll(task) => {
                    polls += self.poll(task);
                }
                Next::Lead => {
                    polls = 0;
                    self.lead();
                }
                Next::Look => {
                    polls = 0;
                    self.look();
                }
                Next::End => return End::Closed,
            }
        }
    }

    /// Runs a job, which the queue counts as begun. Returns whether this thread still drives.
    fn run_job(&self, job: Job) -> bool {
        let Shared { queue, threads, .. } = &*self.shared;
        // Nothing may wait behind a job.
        if let Some(task) = self.slot.take_task() {
            queue.push(task);
        }
        queue.hand_over();
        self.slot.begin_turn();
        log::panic_of!(job.run(), "a job panicked");
        let EndedHere { still_drives, is_closed, action, orphans } = threads.queue.end_here(self.id);
        if is_closed || !orphans.is_empty() {
            threads.after_thread((orphans, action));
        } else {
            threads.perform(action);
        }
        still_drives
    }

    /// Waits in the reactor until there is a task.
    fn lead(&self) {
        let Shared { queue, reactor, .. } = &*self.shared;
        local::set(Doing::Leading);
        reactor.lead(|cx| queue.poll_lead(cx));
        local::set(Doing::Other);
        queue.stop_leading();
    }

    /// Takes the events that are there.
    fn look(&self) {
        let Shared { queue, reactor, .. } = &*self.shared;
        local::set(Doing::Leading);
        reactor.look();
        local::set(Doing::Other);
        queue.stop_leading();
    }

    /// Polls a task, which may make a job for this driver. Returns how many polls this counts as.
    fn poll(&self, task: Arc<Task>) -> u32 {
        self.slot.begin_turn();
        local::begin_poll(&task);
        task.poll();
        if local::end_poll() { POLLS_PER_LOOK } else { 1 }
    }
}
