//! One thread of a pool.
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

/// What the threads of a pool have in common.
pub(crate) struct Threads {
    pub(crate) queue: Queue<Job>,
    /// The name of the pool.
    pub(crate) name: String,
    pub(crate) stack_size: usize,
    /// What to do whenever a job has ended.
    pub(crate) on_end: Option<OnEnd>,
}

pub(crate) type OnEnd = Box<dyn Fn() + Send + Sync>;

impl Threads {
    /// Does what the queue has asked for.
    pub(crate) fn answer(self: &Arc<Self>, call: Action) {
        match call {
            Action::None => {}
            Action::Notify(wakeup) => wakeup.notify_one(),
            Action::Spawn(id) => {
                // The failure is logged. Other threads will get to the job.
                let _ = self.start(id);
            }
        }
    }

    /// Starts a thread that is counted already. It runs jobs until it is told to leave.
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

    /// What a thread is called.
    pub(crate) fn name_of(&self, id: WorkerId) -> String {
        format!("{}-{}", self.name, id.number())
    }

    /// Should a thread that is gone have been the last, the jobs in line are dropped, which answers their clients.
    fn done(self: &Arc<Self>, (orphans, call): (Vec<Job>, Action)) {
        if let Err(panicked) = catch_panic(|| drop(orphans)) {
            log::error!(error = %panicked, "a job panicked when it was dropped");
        }
        // Its job, or theirs, may have left a place.
        self.on_end.iter().for_each(|on_end| on_end());
        self.answer(call);
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Takes the thread out, however it ends: whoever waits for the pool's end waits for that.
struct Worker {
    threads: Arc<Threads>,
    id: WorkerId,
}

impl Worker {
    /// Runs jobs until there is no use for the thread any more.
    fn work(&self, cpu_time: &mut CpuTime) {
        let Self { threads, id } = self;
        let on_end = || threads.on_end.iter().for_each(|on_end| on_end());
        while let Some((job, call)) = threads.queue.next(*id, cpu_time, on_end) {
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

/// Jobs contain the panics of their applications. Should one escape all the same, it must not cost the thread.
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
