//! The jobs that drivers run where they were read, as the queue counts them.
//!
//! Threads: any; takes the lock of the queue for a moment.

use std::time::{Duration, Instant};

use crate::log;
use crate::pool::queue::{Action, Queue, QueueItem, delay};
use crate::pool::thread_table::{ThreadState, WorkerId};
use crate::sync::lock;

/// What has become of a driver whose job has ended.
#[derive(Debug)]
#[must_use]
pub(crate) struct EndedHere<T> {
    /// It drives on. If not, it has become a worker in its job.
    pub(crate) still_drives: bool,
    /// The pool admits no more jobs, and its shutdown may wait for the end of this one.
    pub(crate) is_closed: bool,
    pub(crate) action: Action,
    /// Jobs that no thread will run.
    pub(crate) orphans: Vec<T>,
}

impl<T: QueueItem> Queue<T> {
    /// So many more threads are to drive.
    pub(crate) fn want_drivers(&self, count: usize) {
        lock(&self.state).missing_drivers += count;
    }

    pub(crate) fn want_no_drivers(&self) {
        lock(&self.state).missing_drivers = 0;
    }

    /// A slot for a thread that is started to drive. `None` if no driver is missing.
    pub(crate) fn join_driver(&self) -> Option<WorkerId> {
        let mut state = lock(&self.state);
        state.missing_drivers = state.missing_drivers.checked_sub(1)?;
        Some(state.threads.join(ThreadState::Driving))
    }

    /// The system has refused the thread for this slot: a driver is missing again. The next worker whose job ends
    /// drives. As in [`refused`](Queue::refused), no thread is spawned for a second.
    pub(crate) fn refused_driver(&self, id: WorkerId) {
        let mut state = lock(&self.state);
        state.refuse_threads();
        state.threads.leave(id);
        state.missing_drivers += 1;
    }

    /// Whether a driver is missing.
    pub(crate) fn lacks_drivers(&self) -> bool {
        lock(&self.state).missing_drivers > 0
    }

    /// The driver gives up its job.
    pub(crate) fn end_here(&self, id: WorkerId) -> EndedHere<T> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let ended = state.end(id, now);
        let still_drives = matches!(state.threads.state(id), ThreadState::Driving);
        let is_closed = state.closed;
        // A job may have waited for the end of this one, for its share.
        let action = state.wake_if_it_pays();
        // If the system has refused the only worker.
        let orphans = state.orphans();
        drop(state);
        log::panic_of!(drop(ended), "a job panicked when it was dropped");
        EndedHere { still_drives, is_closed, action, orphans }
    }

    /// The drivers among these whose jobs have run for this long are workers from now on, and returned. Idle threads
    /// drive in their place.
    pub(crate) fn hold(&self, drivers: &[WorkerId], longest: Duration) -> (Vec<WorkerId>, Action) {
        if drivers.is_empty() {
            return (Vec::new(), Action::None);
        }
        let mut state = lock(&self.state);
        // Charged now: until the job ends, the next ones of its mount would hold the other drivers.
        let held = state.threads.hold(drivers, longest, T::ran);
        if held.is_empty() {
            return (held, Action::None);
        }
        state.held += held.len() as u64;
        state.missing_drivers += held.len();
        while state.missing_drivers > 0
            && let Some((id, wakeup)) = state.threads.choose_latest(ThreadState::Driving)
        {
            state.missing_drivers -= 1;
            state.watches_no_more(id);
            wakeup.notify_one();
        }
        // The promoted thread may have been the only one to take a queued job.
        let action = state.wake_if_it_pays();
        // The new workers count towards the limit: a job that was accepted at once may have to wait.
        let delayed = state.delayed();
        drop(state);
        delay::<T>(&delayed);
        (held, action)
    }

    /// A driver gives up its job, which has not begun, because its poll lasts. The job is queued; its client may have
    /// to wait. Returns the jobs that no thread will run, too, if the system has refused the only worker.
    pub(crate) fn give_back(&self, id: WorkerId, job: T) -> (Vec<T>, Action) {
        let handle = job.handle();
        let mut state = lock(&self.state);
        let given_up = state.threads.end(id);
        let action = given_up.as_ref().map_or(Action::None, |work| {
            state.queue.finished(work.share);
            state.begun_here -= 1;
            // Admitted once: the limits hold.
            state.queue.push(work.share, job);
            state.wake_if_it_pays()
        });
        let orphans = state.orphans();
        drop(state);
        log::panic_of!(drop(given_up), "a job panicked when it was dropped");
        delay::<T>(&[handle]);
        (orphans, action)
    }
}

#[cfg(all(test, not(gateway_loom)))]
mod tests {
    use super::*;
    use crate::pool::admission_queue::DEFAULT_SHARE;
    use crate::pool::queue::tests::{next, push, queue, spawned};
    use crate::pool::queue::{CpuTime, Limits, Next, Pushed};

    /// POOL-06: a job that its driver gives back is not stranded while the system refuses all threads.
    #[test]
    fn a_job_that_is_given_back_without_a_thread_for_it_is_returned() {
        let queue = Queue::new(Limits { max: 2, queue_limit: 8, parallelism: 2, ..Limits::default() });
        queue.want_drivers(1);
        let driver = queue.join_driver().unwrap();
        let Ok(Pushed::Here(job)) = queue.push(DEFAULT_SHARE, 1_u32, Some(driver)) else { panic!("it is queued") };
        lock(&queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
        let (orphans, action) = queue.give_back(driver, job);
        assert!(orphans == [1] && matches!(action, Action::None), "{orphans:?}, {action:?}");
    }

    /// A driver that the system has refused is missing until a job ends: its thread drives then, unless it is the only
    /// one for the next job.
    #[test]
    fn a_worker_drives_in_place_of_a_refused_thread() {
        let queue = queue(1, 8);
        let (_, worker) = push(&queue, 1).unwrap();
        let worker = worker.unwrap();
        assert_eq!(next(&queue, worker), Some((1, None)));
        assert!(push(&queue, 2).is_ok());
        queue.want_drivers(1);
        let driver = queue.join_driver().unwrap();
        assert!(!queue.lacks_drivers());
        queue.refused_driver(driver);
        assert!(queue.lacks_drivers());
        lock(&queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(next(&queue, worker), Some((2, None)));
        assert!(matches!(queue.next(worker, &mut CpuTime::default()), Next::Drive(_)));
        assert!(!queue.lacks_drivers());
    }

    /// POOL-06: a thread that was woken for a job, and drives instead, leaves the job to another thread.
    #[test]
    fn a_job_is_not_stranded_when_its_thread_becomes_a_driver() {
        let queue = queue(2, 8);
        let worker = push(&queue, 1).unwrap().1.unwrap();
        queue.want_drivers(1);
        let Next::Drive(action) = queue.next(worker, &mut CpuTime::default()) else { panic!("it does not drive") };
        let other = spawned(&action).expect("a thread for the job");
        assert_eq!(next(&queue, other), Some((1, None)));
    }

    /// POOL-06: if no other thread can be had, the job comes first.
    #[test]
    fn the_last_thread_takes_its_job_before_it_drives() {
        let queue = queue(2, 8);
        let worker = push(&queue, 1).unwrap().1.unwrap();
        queue.want_drivers(1);
        let driver = queue.join_driver().unwrap();
        queue.refused_driver(driver);
        // For longer than the second that a slow machine may take for the rest.
        assert!(lock(&queue.state).spawns_again.is_some());
        lock(&queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(next(&queue, worker), Some((1, None)));
        assert!(matches!(queue.next(worker, &mut CpuTime::default()), Next::Drive(Action::None)));
    }

    /// POOL-06: the same beside a thread that runs a long job.
    #[test]
    fn the_last_free_thread_takes_its_job_before_it_drives() {
        let queue = queue(2, 8);
        let busy = push(&queue, 1).unwrap().1.unwrap();
        assert_eq!(next(&queue, busy), Some((1, None)));
        lock(&queue.state).classify_jobs();
        let worker = push(&queue, 2).unwrap().1;
        let worker = worker.unwrap_or_else(|| lock(&queue.state).threads.join(ThreadState::Waking));
        queue.want_drivers(1);
        lock(&queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(next(&queue, worker), Some((2, None)));
    }
}
