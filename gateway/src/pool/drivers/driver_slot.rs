//! What a driver has in hand.
//!
//! Threads: drivers; looked into by the watch.

#[cfg(gateway_loom)]
use loom::sync::atomic::AtomicBool;
#[cfg(not(gateway_loom))]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::pool::drivers::run_queue::RunQueue;
use crate::sync::{Mutex, lock};

/// The task that a driver polls next, and the job that it runs once its poll has returned. The watch takes them away
/// from a driver whose poll or job lasts: the poll may wait for the job, and the job for the task.
pub(super) struct DriverSlot<T, J> {
    hand: Mutex<Hand<T, J>>,
    /// The hand is not known to be open and empty. Stored under the lock, and read without: at the end of most polls
    /// and jobs there is nothing. The driver alone fills the hand; the watch may miss what it has just put there until
    /// the next tick.
    is_filled: AtomicBool,
    /// How many polls and jobs the driver has begun.
    turns: AtomicU64,
    /// The same at the last look of the watch.
    looked_at: AtomicU64,
}

enum Hand<T, J> {
    Open {
        /// Woken by this driver: most often the connection whose job has just run, by its response.
        task: Option<T>,
        /// A job that has not begun.
        job: Option<J>,
    },
    /// The thread drives no more.
    Closed,
}

/// The watch has closed the slot.
#[derive(Debug)]
pub(super) struct Closed;

impl<T, J> DriverSlot<T, J> {
    pub(super) fn new() -> Self {
        Self {
            hand: Mutex::new(Hand::Open { task: None, job: None }),
            is_filled: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
        }
    }

    /// The driver begins a poll or a job.
    pub(super) fn begin_turn(&self) {
        // The driver alone writes it.
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Whether the driver has begun anything since the last look of the watch, which alone calls this. If not, what it
    /// has begun still lasts.
    pub(super) fn has_turned(&self) -> bool {
        let turns = self.turns.load(Ordering::Relaxed);
        self.looked_at.swap(turns, Ordering::Relaxed) != turns
    }

    /// Takes a woken task.
    ///
    /// # Errors
    ///
    /// The task, if there is one already, or the thread drives no more.
    pub(super) fn put_task(&self, woken: T) -> Result<(), T> {
        match &mut *lock(&self.hand) {
            Hand::Open { task: task @ None, .. } => {
                *task = Some(woken);
                self.is_filled.store(true, Ordering::Relaxed);
                Ok(())
            }
            Hand::Open { .. } | Hand::Closed => Err(woken),
        }
    }

    /// Keeps a job until the poll that has made it returns.
    ///
    /// # Errors
    ///
    /// The job, if the thread drives no more.
    pub(super) fn put_job(&self, made: J) -> Result<(), J> {
        match &mut *lock(&self.hand) {
            Hand::Open { job: job @ None, .. } => {
                *job = Some(made);
                self.is_filled.store(true, Ordering::Relaxed);
                Ok(())
            }
            Hand::Open { .. } | Hand::Closed => Err(made),
        }
    }

    /// Takes all that the driver has in hand: the task, and the job that the last poll has made.
    ///
    /// # Errors
    ///
    /// The thread drives no more.
    pub(super) fn take(&self) -> Result<(Option<T>, Option<J>), Closed> {
        // Race: the watch closes the slot after this. The driver finds that out at its next step.
        if !self.is_filled.load(Ordering::Relaxed) {
            return Ok((None, None));
        }
        match &mut *lock(&self.hand) {
            Hand::Open { task, job } => {
                self.is_filled.store(false, Ordering::Relaxed);
                Ok((task.take(), job.take()))
            }
            Hand::Closed => Err(Closed),
        }
    }

    /// Closes the slot. The task goes to the run queue; the job, if there is one, is returned.
    pub(super) fn close(&self, queue: &RunQueue<T>) -> Option<J> {
        let hand = {
            let mut hand = lock(&self.hand);
            self.is_filled.store(true, Ordering::Relaxed);
            std::mem::replace(&mut *hand, Hand::Closed)
        };
        let Hand::Open { task, job } = hand else { return None };
        if let Some(task) = task {
            queue.push(task);
        }
        job
    }
}
