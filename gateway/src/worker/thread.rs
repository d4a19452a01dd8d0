//! One thread of a pool.

use std::io;
use std::thread;

use crate::sync::Arc;
use crate::worker::fence::fence;
use crate::worker::queue::{Queue, Seat};
use crate::worker::{Job, RunningJobs};

/// Starts a thread that is already counted in the queue. It runs jobs until the queue is closed and empty.
pub(crate) fn start(
    name: String,
    stack_size: usize,
    queue: &Arc<Queue<Job>>,
    running: &Arc<RunningJobs>,
) -> io::Result<()> {
    let queue = Arc::clone(queue);
    let running = Arc::clone(running);
    thread::Builder::new().name(name).stack_size(stack_size).spawn(move || {
        let leaving = Leaving(queue);
        let mut seat = Seat::default();
        while let Some(job) = leaving.0.next(&mut seat) {
            // Jobs contain the panics of their applications. Should one escape all the same, it must not cost the thread.
            if let Err(panicked) = fence(|| running.run(job)) {
                tracing::error!(error = %panicked, "a job panicked");
            }
        }
    })?;
    Ok(())
}

/// Takes the thread out of the count, however it ends: whoever waits for the pool's end waits for that.
struct Leaving(Arc<Queue<Job>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        drop(self.0.leave());
    }
}
