//! A thread of a pool.
//!
//! Threads: pool; blocks.

use std::sync::Arc;

use crate::job::Job;
use crate::log;
use crate::pool::cpu_time::CpuTime;
use crate::pool::drivers::Shared;
use crate::pool::drivers::driver::{Driver, End};
use crate::pool::queue::Next;
use crate::pool::run_state::RunState;
use crate::pool::thread_hook::ThreadHook;
use crate::pool::thread_table::WorkerId;
use crate::pool::threads::Threads;

/// Frees the slot when dropped, even by a panic: otherwise the shutdown of the pool would wait for ever.
pub(super) struct Worker {
    pub(super) threads: Arc<Threads>,
    pub(super) id: WorkerId,
}

/// What a thread is at present.
pub(super) enum Role {
    /// It runs jobs from the queue.
    Worker,
    /// It drives connections, and runs short jobs.
    Driver(Arc<Shared>),
}

impl Worker {
    /// The life of the thread, which begins in this role.
    pub(super) fn run(self, role: Role) {
        self.threads.queue.observe_with(self.id, Arc::new(RunState::of_this_thread()));
        self.play(role);
    }

    /// Plays its roles until it has to leave.
    fn play(&self, mut role: Role) {
        loop {
            role = match role {
                Role::Worker => match self.work() {
                    Some(next) => next,
                    None => return,
                },
                Role::Driver(shared) => match Driver::new(shared, self.id).drive() {
                    End::Held => Role::Worker,
                    End::Closed => return,
                    End::Panicked => match self.threads.drivers() {
                        Some(shared) => Role::Driver(shared),
                        None => return,
                    },
                    End::Hooked(hook) => {
                        (hook.around)(&mut || {
                            if let Some(shared) = self.threads.drivers() {
                                self.play(Role::Driver(shared));
                            }
                        });
                        return;
                    }
                },
            };
        }
    }

    /// Runs jobs until the thread gets another role, or has to leave.
    fn work(&self) -> Option<Role> {
        let Self { threads, id } = self;
        // Not that of the time in which the thread has driven.
        let mut cpu_time = CpuTime::of_this_thread();
        loop {
            let (job, action) = match threads.queue.next(*id, &mut cpu_time) {
                Next::Run(job, action) => (job, action),
                Next::Drive(action) => {
                    threads.perform(action);
                    return threads.drivers().map(Role::Driver);
                }
                Next::Leave => return None,
            };
            // Before the job, which may block: the other thread counts as waking, and none is woken until it runs.
            threads.perform(action);
            if let Some(hook) = ThreadHook::due() {
                let mut job = Some(job);
                (hook.around)(&mut || {
                    job.take().map_or_else(|| (), run);
                    self.play(Role::Worker);
                });
                return None;
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
