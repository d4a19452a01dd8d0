//! The bounded queue of a pool, and the head count of its threads.
//!
//! Policy only: it decides whether a job is let in and whether a thread is to be started, but starts none itself.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::sync::{Condvar, Mutex, lock, wait};

#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Where idle threads wait for jobs, or for the end.
    work: Condvar,
    /// The most threads there may be.
    threads: usize,
    /// How many jobs may wait beyond those that find a thread.
    capacity: usize,
}

/// Everything below is exact under the lock.
#[derive(Debug)]
struct State<T> {
    /// In order of arrival.
    jobs: VecDeque<T>,
    /// Threads that wait for a job, those already notified included.
    idle: usize,
    /// Threads that have been started and have not left, or are about to be started.
    live: usize,
    closed: bool,
    /// Who waits for the last thread to leave.
    waiting_for_end: Vec<Waker>,
}

/// What the caller has to do about a job that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Admitted {
    /// Nothing: a thread will take it.
    Queued,
    /// Start a thread. It is counted already; say [`Queue::leave`] if it cannot be started.
    NeedsThread,
}

impl<T> Queue<T> {
    pub(crate) fn new(threads: usize, capacity: usize) -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, live: 0, closed: false, waiting_for_end: Vec::new() };
        Self { state: Mutex::new(state), work: Condvar::new(), threads, capacity }
    }

    /// Counts a thread that is about to be started without a job.
    pub(crate) fn join(&self) {
        lock(&self.state).live += 1;
    }

    /// Lets a job in, or gives it back: the queue is full or closed.
    pub(crate) fn push(&self, job: T) -> Result<Admitted, T> {
        let mut state = lock(&self.state);
        let free = state.idle + (self.threads - state.live);
        if state.closed || state.jobs.len() >= self.capacity.saturating_add(free) {
            return Err(job);
        }
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.live < self.threads {
            state.live += 1;
            return Ok(Admitted::NeedsThread);
        }
        let notify = state.idle > 0;
        drop(state);
        if notify {
            self.work.notify_one();
        }
        Ok(Admitted::Queued)
    }

    /// Waits for the next job. `None` tells the thread to leave: the queue is closed, and empty.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = wait(&self.work, state);
            state.idle -= 1;
        }
    }

    /// Takes a thread out of the count. Without any thread left, gives back the jobs that nobody will run.
    pub(crate) fn leave(&self) -> VecDeque<T> {
        let mut state = lock(&self.state);
        state.live -= 1;
        if state.live > 0 {
            return VecDeque::new();
        }
        let waiting = std::mem::take(&mut state.waiting_for_end);
        let orphans = std::mem::take(&mut state.jobs);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        orphans
    }

    /// Lets nothing in any more. What is queued still runs, then the threads leave.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.work.notify_all();
    }

    /// Waits until the last thread has left.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.live == 0 {
            return Poll::Ready(());
        }
        if !state.waiting_for_end.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting_for_end.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POOL-04, POOL-07.
    #[test]
    fn a_job_is_let_in_when_a_thread_is_free_or_the_line_has_room() {
        let queue = Queue::new(2, 1);
        assert_eq!(queue.push(1), Ok(Admitted::NeedsThread));
        assert_eq!(queue.push(2), Ok(Admitted::NeedsThread));
        // Both threads are on their way; neither has taken its job yet.
        assert_eq!((queue.pop(), queue.pop()), (Some(1), Some(2)));
        assert_eq!(queue.push(3), Ok(Admitted::Queued));
        assert_eq!(queue.push(4), Err(4));
        assert_eq!(queue.pop(), Some(3));
        assert_eq!(queue.push(4), Ok(Admitted::Queued));
    }

    /// POOL-16, POOL-17.
    #[test]
    fn a_closed_queue_runs_what_it_has_and_takes_no_more() {
        let queue = Queue::new(1, 4);
        assert_eq!(queue.push(1), Ok(Admitted::NeedsThread));
        assert_eq!(queue.push(2), Ok(Admitted::Queued));
        queue.close();
        assert_eq!(queue.push(3), Err(3));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(1), Some(2), None));
        assert!(queue.leave().is_empty());
        assert!(queue.poll_ended(&Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn jobs_come_back_when_the_only_thread_cannot_be_started() {
        let queue = Queue::new(1, 4);
        assert_eq!(queue.push(1), Ok(Admitted::NeedsThread));
        assert_eq!(queue.leave(), [1]);
        assert_eq!(queue.push(2), Ok(Admitted::NeedsThread));
    }
}
