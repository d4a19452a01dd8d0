//! The watch over drivers: a job that runs for longer than a millisecond costs its driver, and a poll that does costs
//! no other connection more than that.
//!
//! Threads: a thread of its own.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::log;
use crate::pool::drivers::Shared;

/// How often drivers are looked at, and how long a job may keep one.
const INTERVAL: Duration = Duration::from_millis(1);

/// After this many ticks in which no driver has begun anything the watch pauses, without a timer.
const QUIET_TICKS: u32 = 10;

/// What the watch knows from its last tick.
#[derive(Default)]
pub(super) struct Watch {
    quiet_ticks: u32,
    /// The system has refused a thread.
    is_refused: bool,
}

/// Starts the thread, which ends with the drivers.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let name = format!("{}-watch", shared.threads.name);
    thread::Builder::new().name(name).spawn(move || run(&shared)).map(drop)
}

fn run(shared: &Arc<Shared>) {
    while shared.queue.await_poll() {
        let mut watch = Watch::default();
        while shared.queue.await_tick(INTERVAL) {
            watch.tick(shared);
            if watch.quiet_ticks >= QUIET_TICKS && !shared.threads.queue.lacks_drivers() && shared.queue.pause_watch() {
                break;
            }
        }
    }
}

impl Watch {
    pub(super) fn tick(&mut self, shared: &Arc<Shared>) {
        let mut has_turned = false;
        // The drivers whose poll or job has lasted since the last tick.
        let mut lasting = Vec::new();
        for (id, slot) in shared.slots() {
            if slot.has_turned() {
                has_turned = true;
                continue;
            }
            let (task, job) = slot.take().unwrap_or((None, None));
            if let Some(task) = task {
                shared.queue.push(task);
            }
            // The poll that has made this job may wait for it.
            if let Some(job) = job {
                shared.threads.after_thread(shared.threads.queue.give_back(id, job));
            }
            lasting.push(id);
        }
        self.quiet_ticks = if has_turned { 0 } else { self.quiet_ticks + 1 };
        let (held, action) = shared.threads.queue.hold(&lasting, INTERVAL);
        held.into_iter().for_each(|id| shared.release(id));
        shared.threads.perform(action);
        self.start_missing(shared);
        shared.queue.tick(has_turned);
    }

    fn start_missing(&mut self, shared: &Arc<Shared>) {
        match shared.start_missing() {
            Ok(()) => self.is_refused = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    log::error!(pool = shared.threads.name, %error, "the system refuses a thread for connections");
                }
            }
        }
    }
}
