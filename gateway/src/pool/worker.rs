//! A thread of a pool.
//!
//! Threads: pool; blocks.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use crate::catch_panic::catch_panic;
use crate::job::Job;
use crate::log;
use crate::pool::cpu_time::CpuTime;
use crate::pool::queue::Action;
use crate::pool::queue::Queue;
use crate::pool::run_state::RunState;
use crate::pool::thread_hook::ThreadHook;
use crate::pool::thread_table::WorkerId;

/// What the threads of a pool share.
pub(crate) struct Threads {
    pub(crate) queue: Queue<Job>,
    /// The name of the pool.
    pub(crate) name: String,
    pub(crate) stack_size: usize,
}

impl Threads {
    /// Notifies or starts the thread that the queue has chosen. Outside the lock of the queue: a notified thread would
    /// wait for that lock, and other threads would wait while a thread is started.
    pub(crate) fn answer(self: &Arc<Self>, call: Action) {
        match call {
            Action::None => {}
            Action::Notify(wakeup) => wakeup.notify_one(),
            Action::Spawn(id) => {
                // The failure is logged, and `start` has freed the slot. Other threads take the job, if there are any.
                let _ = self.start(id);
            }
        }
    }

    /// Starts a thread whose slot is counted already. It runs jobs until the queue lets it leave.
    pub(crate) fn start(self: &Arc<Self>, id: WorkerId) -> io::Result<()> {
        let threads = Arc::clone(self);
        let name = self.name_of(id);
        let started = thread::Builder::new().name(name).stack_size(self.stack_size).spawn(move || {
            let worker = Worker { threads, id };
            worker.threads.queue.observe_with(id, Arc::new(RunState::of_this_thread()));
            worker.work(&mut CpuTime::default());
        });
        match started {
            Ok(_) => Ok(()),
            Err(error) => {
                log::error!(pool = self.name, %error, "the system refuses another thread");
                self.done(self.queue.refused(id));
                Err(error)
            }
        }
    }

    /// The name of a thread.
    pub(crate) fn name_of(&self, id: WorkerId) -> String {
        format!("{}-{}", self.name, id.number())
    }

    /// After a thread has left: drops the orphaned jobs, if it was the last, which answers their clients with 503. Not
    /// under the lock of the queue, as destructors are foreign code. A caught panic must not lose `call`.
    fn done(self: &Arc<Self>, (orphans, call): (Vec<Job>, Action)) {
        if let Err(panicked) = catch_panic(|| drop(orphans)) {
            log::error!(error = %panicked, "a job panicked when it was dropped");
        }
        self.answer(call);
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Frees the slot when dropped, even by a panic: otherwise the shutdown of the pool would wait for ever.
struct Worker {
    threads: Arc<Threads>,
    id: WorkerId,
}

impl Worker {
    /// Runs jobs until the queue lets the thread leave.
    fn work(&self, cpu_time: &mut CpuTime) {
        let Self { threads, id } = self;
        while let Some((job, call)) = threads.queue.next(*id, cpu_time) {
            // Before the job, which may block: the other thread counts as waking, and none is woken until it runs.
            threads.answer(call);
            if let Some(hook) = ThreadHook::due() {
                let mut job = Some(job);
                return (hook.around)(&mut || {
                    job.take().map_or_else(|| (), run);
                    self.work(cpu_time);
                });
            }
            run(job);
        }
    }
}

/// `Job::run` catches the panics of the application. A panic that escapes all the same must not end the thread.
fn run(job: Job) {
    if let Err(panicked) = catch_panic(|| job.run()) {
        log::error!(error = %panicked, "a job panicked");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.threads.done(self.threads.queue.leave(self.id));
    }
}
