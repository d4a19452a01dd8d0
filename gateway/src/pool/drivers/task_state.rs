//! The state of a task that drivers poll.
//!
//! Threads: any; never blocks.

#[cfg(gateway_loom)]
use loom::sync::atomic::AtomicU8;
#[cfg(not(gateway_loom))]
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

/// Nobody polls the task, and it is in no queue.
const IDLE: u8 = 0;
/// It is in the run queue, or in the slot of a driver.
const QUEUED: u8 = 1;
/// A driver polls it.
const RUNNING: u8 = 2;
/// A driver polls it, and it was woken meanwhile.
const WOKEN: u8 = 3;
/// Its future has ended.
const DONE: u8 = 4;

/// One of five states. The thread that moves a task to `QUEUED` also queues it, so that it is queued once however often
/// it is woken, and two drivers never poll it.
#[derive(Debug)]
pub(super) struct TaskState(AtomicU8);

impl TaskState {
    /// The state of a task that its maker queues.
    pub(super) fn queued() -> Self {
        Self(AtomicU8::new(QUEUED))
    }

    /// The task was woken. Returns whether the caller has to queue it.
    #[must_use]
    pub(super) fn wake(&self) -> bool {
        // Written even if it does not change: the poll that begins later then sees what its waker has done before.
        self.step(|state| match state {
            IDLE => QUEUED,
            RUNNING => WOKEN,
            other => other,
        }) == IDLE
    }

    /// A driver begins to poll it.
    pub(super) fn begin(&self) {
        self.0.swap(RUNNING, Ordering::AcqRel);
    }

    /// The poll has ended, and the future is pending. Returns whether the caller has to queue the task again.
    #[must_use]
    pub(super) fn end(&self) -> bool {
        self.step(|state| if state == RUNNING { IDLE } else { QUEUED }) == WOKEN
    }

    /// The future has ended.
    pub(super) fn finish(&self) {
        self.0.store(DONE, Ordering::Release);
    }

    /// Takes one step, and returns the state before it.
    fn step(&self, next: impl Fn(u8) -> u8) -> u8 {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            match self.0.compare_exchange_weak(state, next(state), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(before) => return before,
                Err(changed) => state = changed,
            }
        }
    }
}
