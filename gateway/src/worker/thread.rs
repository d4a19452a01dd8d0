//! One thread of a pool.

use std::io;
use std::thread;

use crate::sync::Arc;
use crate::worker::Job;
use crate::worker::fence::fence;
use crate::worker::queue::{Queue, Seat};

/// Starts a thread that is already counted in the queue. It runs jobs until the queue is closed and empty.
pub(crate) fn start(name: String, stack_size: usize, queue: &Arc<Queue<Job>>) -> io::Result<()> {
    let queue = Arc::clone(queue);
    thread::Builder::new().name(name).stack_size(stack_size).spawn(move || {
        let mut seat = Seat::default();
        while let Some(job) = queue.next(&mut seat) {
            // Jobs contain the panics of their applications. Should one escape all the same, it must not cost the thread.
            if let Err(panicked) = fence(|| job.run()) {
                tracing::error!(error = %panicked, "a job panicked");
            }
        }
        queue.leave();
    })?;
    Ok(())
}
