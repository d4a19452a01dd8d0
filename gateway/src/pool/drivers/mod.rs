//! The drivers of a pool: threads that read requests from connections and write their responses.
//!
//! Threads: any.

pub(crate) mod local;
pub(crate) mod driver;
mod driver_slot;
mod reactor;
mod run_queue;
mod steps;
mod task;
mod watch;
#[cfg(all(test, gateway_loom))]
mod loom_tests;
#[cfg(all(test, not(gateway_loom)))]
mod tests;

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::driver_slot::DriverSlot;
use self::reactor::Reactor;
use self::run_queue::RunQueue;
pub(crate) use self::task::DrivenTask;
use self::task::WokenTask;
use crate::job::Job;
use crate::pool::thread_table::WorkerId;
use crate::pool::threads::Threads;
use crate::pool::worker::Role;
use crate::sync::{Mutex, lock};

/// The drivers. They end when this is dropped and all their tasks have ended.
pub(crate) struct Drivers {
    shared: Arc<Shared>,
}

/// The slot of a driver, which the watch may close.
type SharedSlot = Arc<DriverSlot<WokenTask, Job>>;

/// What the threads share.
pub(crate) struct Shared {
    threads: Arc<Threads>,
    queue: Arc<RunQueue<WokenTask>>,
    reactor: Reactor,
    /// The slots of the drivers.
    slots: Mutex<Vec<(WorkerId, SharedSlot)>>,
}

impl Drivers {
    /// Starts `drivers` threads, and the watch.
    ///
    /// # Errors
    ///
    /// The system allows no reactor, or no thread.
    pub(super) fn start(threads: &Arc<Threads>, drivers: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            threads: Arc::clone(threads),
            queue: Arc::new(RunQueue::new(drivers)),
            reactor: Reactor::new()?,
            slots: Mutex::default(),
        });
        *lock(&threads.drivers) = Arc::downgrade(&shared);
        // Dropped on an error, which ends the threads that have started.
        let started = Self { shared };
        watch::start(&started.shared)?;
        threads.queue.want_drivers(drivers);
        // No thread of the pool is to drive for a server that has no drivers.
        started.shared.start_missing().inspect_err(|_| threads.queue.want_no_drivers())?;
        Ok(started)
    }

    /// Has the drivers poll a future, with the program's runtime entered.
    pub(crate) fn spawn<T>(&self, runtime: Handle, future: impl Future<Output = T> + Send + 'static) -> DrivenTask<T>
    where
        T: Default + Send + 'static,
    {
        task::start(&self.shared.queue, runtime, future)
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Shared {
    fn enlist(&self, id: WorkerId, slot: &SharedSlot) {
        lock(&self.slots).push((id, Arc::clone(slot)));
    }

    /// Takes the slot out of the list.
    fn forget(&self, id: WorkerId) -> Option<SharedSlot> {
        let mut slots = lock(&self.slots);
        let at = slots.iter().position(|(other, _)| *other == id)?;
        Some(slots.swap_remove(at).1)
    }

    /// Starts the threads that are to drive, and that no idle thread stands in for.
    fn start_missing(self: &Arc<Self>) -> io::Result<()> {
        let threads = &self.threads;
        while let Some(id) = threads.queue.join_driver() {
            threads.spawn(id, Role::Driver(Arc::clone(self))).inspect_err(|_| threads.queue.refused_driver(id))?;
        }
        Ok(())
    }

    /// The slots of all drivers.
    fn slots(&self) -> Vec<(WorkerId, SharedSlot)> {
        lock(&self.slots).clone()
    }

    /// A job holds the driver: the thread is a worker from now on. The task that it had in hand goes to the others.
    fn release(&self, id: WorkerId) {
        let job = self.forget(id).and_then(|slot| slot.close(&self.queue));
        self.queue.leave();
        // Race: the job that held it has ended, and a long poll has made another one, before the slot was closed.
        if let Some(job) = job {
            self.threads.after_thread(self.threads.queue.give_back(id, job));
        }
    }
}
