//! What the threads of a pool share, and how a thread is started.
//!
//! Threads: any.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use tokio::sync::Notify;

use crate::job::Job;
use crate::log;
use crate::pool::drivers::Shared;
use crate::pool::queue::{Action, Queue};
use crate::pool::thread_table::WorkerId;
use crate::pool::worker::{Role, Worker};
use crate::sync::{Mutex, lock};

/// What the threads of a pool share.
pub(crate) struct Threads {
    pub(crate) queue: Queue<Job>,
    /// The name of the pool.
    pub(crate) name: String,
    pub(crate) stack_size: usize,
    /// Notified after each thread that has left.
    pub(crate) thread_left: Notify,
    /// Requests that got 503 because there was no room, or no thread any more.
    pub(crate) shed: AtomicU64,
    /// What the drivers share, while there are any. They hold the threads: an `Arc` would keep both for ever.
    pub(crate) drivers: Mutex<Weak<Shared>>,
}

impl Threads {
    /// Notifies or starts the thread that the queue has chosen. Outside the lock of the queue: a notified thread would
    /// wait for that lock, and other threads would wait while a thread is started.
    pub(crate) fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Action::None => {}
            Action::Notify(wakeup) => wakeup.notify_one(),
            Action::Spawn(id) => {
                // The failure is logged, and `start` has freed the slot. Other threads take the job, if there are any.
                let _ = self.start(id);
            }
        }
    }

    /// What the drivers share, unless all of them have ended.
    pub(super) fn drivers(&self) -> Option<Arc<Shared>> {
        lock(&self.drivers).upgrade()
    }

    /// Starts a thread whose slot is counted already.
    pub(super) fn spawn(self: &Arc<Self>, id: WorkerId, role: Role) -> io::Result<()> {
        let worker = Worker { threads: Arc::clone(self), id };
        let builder = thread::Builder::new().name(self.name_of(id)).stack_size(self.stack_size);
        builder.spawn(move || worker.run(role)).map(drop)
    }

    /// Starts a thread whose slot is counted already. It runs jobs until the queue lets it leave.
    pub(crate) fn start(self: &Arc<Self>, id: WorkerId) -> io::Result<()> {
        match self.spawn(id, Role::Worker) {
            Ok(()) => Ok(()),
            Err(error) => {
                log::error!(pool = self.name, %error, "the system refuses another thread");
                self.after_thread(self.queue.refused(id));
                Err(error)
            }
        }
    }

    /// The name of a thread.
    pub(crate) fn name_of(&self, id: WorkerId) -> String {
        format!("{}-{}", self.name, id.number())
    }

    /// After a thread has left, or a driver has given its job back: performs the action, and drops the jobs that no
    /// thread will run, which answers their clients with 503. Not under the lock of the queue, as destructors and
    /// wakers are foreign code.
    pub(super) fn after_thread(self: &Arc<Self>, (orphans, action): (Vec<Job>, Action)) {
        self.perform(action);
        self.shed(orphans);
        log::panic_of!(self.thread_left.notify_waiters(), "a waker panicked");
    }

    /// Counts a request that gets 503.
    pub(crate) fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers the clients of jobs that no thread will run, and counts them.
    pub(crate) fn shed(&self, jobs: Vec<Job>) {
        for job in &jobs {
            // A client that has disconnected is counted as cancelled.
            job.shed(|| self.count_shed());
        }
        log::drop_each(jobs, "a job panicked when it was dropped");
    }
}

partial_debug!(Threads, |this| name: this.name);
