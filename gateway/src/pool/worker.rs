//! One thread of a pool.
//!
//! Threads: pool; blocks.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use crate::catch_panic::fence;
use crate::job::Job;
use crate::log;
use crate::pool::crew::SeatId;
use crate::pool::meter::Meter;
use crate::pool::probe::Probe;
use crate::pool::queue::Call;
use crate::pool::queue::Queue;
use crate::pool::thread_hook::ThreadHook;

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
    pub(crate) fn answer(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(bell) => bell.notify_one(),
            Call::Hire(id) => {
                // The failure is logged. Other threads will get to the job.
                let _ = self.start(id);
            }
        }
    }

    /// Starts a thread that is counted already. It runs jobs until it is told to leave.
    pub(crate) fn start(self: &Arc<Self>, id: SeatId) -> io::Result<()> {
        let threads = Arc::clone(self);
        let name = self.name_of(id);
        let started = thread::Builder::new().name(name).stack_size(self.stack_size).spawn(move || {
            let seat = Seat { threads, id };
            seat.threads.queue.observe_with(id, Arc::new(Probe::of_this_thread()));
            seat.work(&mut Meter::default());
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
    pub(crate) fn name_of(&self, id: SeatId) -> String {
        format!("{}-{}", self.name, id.number())
    }

    /// Should a thread that is gone have been the last, the jobs in line are dropped, which answers their clients.
    fn done(self: &Arc<Self>, (orphans, call): (Vec<Job>, Call)) {
        if let Err(panicked) = fence(|| drop(orphans)) {
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
struct Seat {
    threads: Arc<Threads>,
    id: SeatId,
}

impl Seat {
    /// Runs jobs until there is no use for the thread any more.
    fn work(&self, meter: &mut Meter) {
        let Self { threads, id } = self;
        let on_end = || threads.on_end.iter().for_each(|on_end| on_end());
        while let Some((job, call)) = threads.queue.next(*id, meter, on_end) {
            threads.answer(call);
            if let Some(hook) = ThreadHook::due() {
                let mut job = Some(job);
                return (hook.around)(&mut || {
                    job.take().map_or_else(|| (), run);
                    self.work(meter);
                });
            }
            run(job);
        }
    }
}

/// Jobs contain the panics of their applications. Should one escape all the same, it must not cost the thread.
fn run(job: Job) {
    if let Err(panicked) = fence(|| job.run()) {
        log::error!(error = %panicked, "a job panicked");
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.threads.done(self.threads.queue.leave(self.id));
    }
}
