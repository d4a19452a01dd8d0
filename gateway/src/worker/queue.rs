//! The bounded queue of a pool, and the head count of its threads.
//!
//! Policy only: it decides whether a job is let in and whether a thread is to be started, but starts none itself.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait};
use crate::worker::fence::fence;

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
    /// Threads that have been started, or are about to be, and have not left.
    live: usize,
    /// Threads that run a job. All other live ones are on their way to the next.
    busy: usize,
    /// Threads that wait on `work`, those already notified included.
    waiting: usize,
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

/// A thread's place in the queue's head count.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    busy: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(threads: usize, capacity: usize) -> Self {
        let state =
            State { jobs: VecDeque::new(), live: 0, busy: 0, waiting: 0, closed: false, waiting_for_end: Vec::new() };
        Self { state: Mutex::new(state), work: Condvar::new(), threads, capacity }
    }

    /// Counts a thread that is about to be started without a job.
    pub(crate) fn join(&self) {
        lock(&self.state).live += 1;
    }

    /// Lets a job in, or gives it back: the queue is full or closed. Jobs that nobody waits for any more keep no place.
    pub(crate) fn push(&self, job: T, is_obsolete: impl Fn(&T) -> bool) -> Result<Admitted, T> {
        let mut state = lock(&self.state);
        let places = self.capacity.saturating_add(self.threads - state.busy);
        let mut obsolete = VecDeque::new();
        if state.jobs.len() >= places {
            (obsolete, state.jobs) = std::mem::take(&mut state.jobs).into_iter().partition(|job| is_obsolete(job));
        }
        let admitted = self.admit(state, job, places);
        // Outside the lock, and behind the fence: what the jobs free is not our business.
        if let Err(panicked) = fence(|| drop(obsolete)) {
            tracing::error!(error = %panicked, "a job panicked when it was dropped");
        }
        admitted
    }

    /// Whether jobs wait that have no thread to run them yet.
    pub(crate) fn has_line(&self) -> bool {
        let state = lock(&self.state);
        state.jobs.len() > state.live - state.busy
    }

    fn admit(&self, mut state: MutexGuard<'_, State<T>>, job: T, places: usize) -> Result<Admitted, T> {
        if state.closed || state.jobs.len() >= places {
            return Err(job);
        }
        state.jobs.push_back(job);
        if state.jobs.len() > state.live - state.busy && state.live < self.threads {
            state.live += 1;
            return Ok(Admitted::NeedsThread);
        }
        let notify = state.waiting > 0;
        drop(state);
        if notify {
            self.work.notify_one();
        }
        Ok(Admitted::Queued)
    }

    /// Gives up the job in hand, if any, and waits for the next. `None` tells the thread to leave: the queue is closed, and
    /// empty.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn next(&self, seat: &mut Seat) -> Option<T> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut seat.busy) {
            state.busy -= 1;
        }
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.busy += 1;
                seat.busy = true;
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.waiting += 1;
            state = wait(&self.work, state);
            state.waiting -= 1;
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

    /// Takes out what is queued.
    pub(crate) fn take_jobs(&self) -> VecDeque<T> {
        std::mem::take(&mut lock(&self.state).jobs)
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

    /// POOL-04, POOL-05, POOL-07.
    #[test]
    fn a_job_is_let_in_when_a_thread_is_free_or_the_line_has_room() {
        for capacity in 0..3 {
            let queue = Queue::new(2, capacity);
            // Both threads are on their way; neither has taken its job yet.
            assert_eq!(queue.push(1, |_| false), Ok(Admitted::NeedsThread));
            assert_eq!(queue.push(2, |_| false), Ok(Admitted::NeedsThread));
            for waiting in 0..capacity {
                assert_eq!(queue.push(waiting, |_| false), Ok(Admitted::Queued));
            }
            assert_eq!(queue.push(9, |_| false), Err(9));
            let mut seats = [Seat::default(), Seat::default()];
            assert_eq!(seats.each_mut().map(|seat| queue.next(seat)), [Some(1), Some(2)]);
            // They took what was theirs; the line is as long as before.
            assert_eq!(queue.push(9, |_| false), Err(9));
        }
    }

    /// F12, POOL-02: a thread that was started ahead counts as free before it has asked for its first job.
    #[test]
    fn a_thread_that_has_just_started_is_free() {
        let queue = Queue::new(1, 0);
        queue.join();
        assert_eq!(queue.push(1, |_| false), Ok(Admitted::Queued));
        assert_eq!(queue.push(2, |_| false), Err(2));
        let mut seat = Seat::default();
        assert_eq!(queue.next(&mut seat), Some(1));
        assert_eq!(queue.push(2, |_| false), Err(2));
    }

    /// F6: the place is free when the thread asks for more, not before.
    #[test]
    fn a_place_is_free_once_its_job_is_given_up() {
        let queue = Queue::new(1, 1);
        let mut seat = Seat::default();
        assert_eq!(queue.push(1, |_| false), Ok(Admitted::NeedsThread));
        assert_eq!(queue.next(&mut seat), Some(1));
        assert_eq!(queue.push(2, |_| false), Ok(Admitted::Queued));
        assert_eq!(queue.push(3, |_| false), Err(3));
        assert_eq!(queue.next(&mut seat), Some(2));
        assert_eq!(queue.push(3, |_| false), Ok(Admitted::Queued));
    }

    /// DISC-05, POOL-09: those who have left the line make room in it.
    #[test]
    fn an_obsolete_job_keeps_no_place() {
        let queue = Queue::new(1, 1);
        assert_eq!(queue.push(1, |_| false), Ok(Admitted::NeedsThread));
        assert_eq!(queue.push(2, |_| false), Ok(Admitted::Queued));
        assert_eq!(queue.push(3, |job| *job == 9), Err(3));
        assert_eq!(queue.push(3, |job| *job == 2), Ok(Admitted::Queued));
        let mut seat = Seat::default();
        assert_eq!([(); 2].map(|()| queue.next(&mut seat)), [Some(1), Some(3)]);
    }

    /// POOL-16, POOL-17.
    #[test]
    fn a_closed_queue_runs_what_it_has_and_takes_no_more() {
        let queue = Queue::new(1, 4);
        assert_eq!(queue.push(1, |_| false), Ok(Admitted::NeedsThread));
        assert_eq!(queue.push(2, |_| false), Ok(Admitted::Queued));
        queue.close();
        assert_eq!(queue.push(3, |_| false), Err(3));
        let mut seat = Seat::default();
        assert_eq!([(); 3].map(|()| queue.next(&mut seat)), [Some(1), Some(2), None]);
        assert!(queue.leave().is_empty());
        assert!(queue.poll_ended(&Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn jobs_come_back_when_the_only_thread_cannot_be_started() {
        let queue = Queue::new(1, 4);
        assert_eq!(queue.push(1, |_| false), Ok(Admitted::NeedsThread));
        assert_eq!(queue.leave(), [1]);
        assert_eq!(queue.push(2, |_| false), Ok(Admitted::NeedsThread));
    }
}
