//! A thread that drives connections.
//!
//! Threads: drivers; blocks.

use std::sync::Arc;

use crate::catch_panic::catch_panic;
use crate::job::Job;
use crate::log;
use crate::pool::drivers::driver_slot::DriverSlot;
use crate::pool::drivers::local::{self, Doing, Local};
use crate::pool::drivers::run_queue::Next;
use crate::pool::drivers::steps::{Step, Steps};
use crate::pool::drivers::task::WokenTask;
use crate::pool::drivers::{Shared, SharedSlot};
use crate::pool::queue::EndedHere;
use crate::pool::thread_hook::ThreadHook;
use crate::pool::thread_table::WorkerId;

/// A thread while it drives.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    id: WorkerId,
    slot: SharedSlot,
}

/// Why a thread drives no more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// A job has run for so long that another thread drives in this one's place.
    Held,
    /// There is no connection, and there will be none.
    Closed,
    /// Polls and jobs are caught by themselves: it may drive again.
    Panicked,
    /// It drives again within this hook.
    Hooked(ThreadHook),
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
        // There is a job only after a panic of the driver.
        if let Some(job) = self.slot.close(&shared.queue) {
            shared.threads.after_thread(shared.threads.queue.give_back(self.id, job));
        }
        if let Ok(End::Hooked(_)) = end {
            shared.queue.leave();
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
        if let Some(hook) = ThreadHook::due_on_driver() {
            return End::Hooked(hook);
        }
        let mut steps = Steps::default();
        let mut step = steps.next(&self.slot, queue);
        loop {
            match step {
                Step::Other(Next::Poll(task)) => {
                    step = self.poll(task, &mut steps);
                    continue;
                }
                Step::Run(job) => {
                    if !self.run_job(job) {
                        return End::Held;
                    }
                }
                Step::Other(Next::Lead) => self.lead(),
                Step::Other(Next::Look) => self.look(),
                Step::Other(Next::Sleep) => queue.sleep(),
                Step::Other(Next::End) => return End::Closed,
                Step::Held => return End::Held,
            }
            // Nothing is in hand. The hook may wait for a lock that a job holds: until that ends, this thread drives
            // without it.
            if let Some(hook) = ThreadHook::due_on_driver() {
                return End::Hooked(hook);
            }
            step = steps.next(&self.slot, queue);
        }
    }

    /// Polls a task, and those that are next, as long as they have the same runtime, which is entered once for all.
    /// Returns the step after them.
    fn poll(&self, mut task: WokenTask, steps: &mut Steps) -> Step<WokenTask, Job> {
        let runtime = task.metadata().clone();
        let _entered = runtime.enter();
        loop {
            local::begin_poll();
            task.run();
            if local::end_poll() {
                steps.count_long_poll();
            }
            match steps.next(&self.slot, &self.shared.queue) {
                Step::Other(Next::Poll(next)) if next.metadata().id() == runtime.id() => task = next,
                step => return step,
            }
        }
    }

    /// Runs a job, which the queue counts as begun. Returns whether this thread still drives.
    fn run_job(&self, job: Job) -> bool {
        let threads = &self.shared.threads;
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
}
