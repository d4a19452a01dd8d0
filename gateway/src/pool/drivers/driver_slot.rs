//! What a driver has in hand.
//!
//! Threads: drivers; looked into by the watch.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::pool::drivers::run_queue::RunQueue;
use crate::sync::{Mutex, lock};

/// The task that a driver polls next, and the job that it runs once its poll has returned. The watch takes them away
/// from a driver whose poll or job lasts: the poll may wait for the job, and the job for the task.
pub(super) struct DriverSlot<T, J> {
    hand: Mutex<Hand<T, J>>,
    /// How many polls and jobs the driver has begun.
    turns: AtomicU64,
    /// The same at the last look of the watch.
    looked_at: AtomicU64,
}

enum Hand<T, J> {
    Open {
        /// The connection whose job has just run: its response has woken it.
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

    /// Takes a woken task, if there is none and the thread still drives.
    pub(super) fn put_task(&self, woken: &T) -> bool
    where
        T: Clone,
    {
        match &mut *lock(&self.hand) {
            Hand::Open { task: task @ None, .. } => {
                *task = Some(woken.clone());
                true
            }
            Hand::Open { .. } | Hand::Closed => false,
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
        match &mut *lock(&self.hand) {
            Hand::Open { task, job } => Ok((task.take(), job.take())),
            Hand::Closed => Err(Closed),
        }
    }

    /// Closes the slot. The task goes to the run queue; the job, if there is one, is returned.
    pub(super) fn close(&self, queue: &RunQueue<T>) -> Option<J> {
        let hand = std::mem::replace(&mut *lock(&self.hand), Hand::Closed);
        let Hand::Open { task, job } = hand else { return None };
        if let Some(task) = task {
            queue.push(task);
        }
        job
    }
}
