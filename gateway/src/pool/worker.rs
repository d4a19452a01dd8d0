//! A thread of a pool.
//!
//! Threads: pool; blocks.

use std::sync::Arc;

use crate::job::Job;
use crate::log;
use crate::pool::cpu_time::CpuTime;
use crate::pool::run_state::RunState;
use crate::pool::thread_hook::ThreadHook;
use crate::pool::thread_table::WorkerId;
use crate::pool::threads::Threads;

/// Frees the slot when dropped, even by a panic: otherwise the shutdown of the pool would wait for ever.
pub(super) struct Worker {
    pub(super) threads: Arc<Threads>,
    pub(super) id: WorkerId,
}

impl Worker {
    pub(super) fn run(self) {
        self.threads.queue.observe_with(self.id, Arc::new(RunState::of_this_thread()));
        self.work(&mut CpuTime::default());
    }

    /// Runs jobs until the queue lets the thread leave.
    fn work(&self, cpu_time: &mut CpuTime) {
        let Self { threads, id } = self;
        while let Some((job, action)) = threads.queue.next(*id, cpu_time) {
            // Before the job, which may block: the other thread counts as waking, and none is woken until it runs.
            threads.perform(action);
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
    log::panic_of!(job.run(), "a job panicked");
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.threads.after_thread(self.threads.queue.leave(self.id));
    }
}
