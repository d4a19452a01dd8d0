//! The queue, single-stepped: jobs are numbers, and the test plays every thread.
//!
//! Threads: the test's.

use std::cell::{Cell, RefCell};

use super::*;
#[cfg(target_os = "linux")]
use crate::bound::{join, recv, until};
use crate::executor::Accepted;
use crate::pool::admission_queue::DEFAULT_SHARE;

thread_local! {
    /// How many jobs were checked for obsolescence.
    static CHECKED: Cell<usize> = const { Cell::new(0) };
    /// The jobs that were delayed.
    static DELAYED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

impl QueueItem for u32 {
    type Handle = Self;

    fn handle(&self) -> Self {
        *self
    }

    fn delay(handle: &Self) {
        DELAYED.with_borrow_mut(|delayed| delayed.push(*handle));
    }

    fn ran(_: &Self, _: Duration) {}

    /// True from 90 on.
    fn is_obsolete(&self) -> bool {
        CHECKED.set(CHECKED.get() + 1);
        *self >= 90
    }
}

const QUEUED: Accepted = Accepted::queued(Duration::from_secs(3));

fn limits(threads: usize, queue_limit: usize) -> Limits {
    Limits { max: threads, queue_limit, queue_timeout: Duration::from_secs(3), parallelism: 2, ..Limits::default() }
}

pub(super) fn queue(threads: usize, queue_limit: usize) -> Queue<u32> {
    Queue::new(limits(threads, queue_limit))
}

/// Pushes a job. Returns the thread to start, if any.
pub(super) fn push(queue: &Queue<u32>, job: u32) -> Result<(Accepted, Option<WorkerId>), u32> {
    let (accepted, action) = queued(queue.push(DEFAULT_SHARE, job, None)?);
    Ok((accepted, spawned(&action)))
}

/// What has become of a job that no driver takes.
fn queued(pushed: Pushed<u32>) -> (Accepted, Action) {
    match pushed {
        Pushed::Queued(accepted, action) => (accepted, action),
        Pushed::Here(job) => panic!("{job} has a driver"),
    }
}

pub(super) fn spawned(action: &Action) -> Option<WorkerId> {
    match action {
        Action::Spawn(id) => Some(*id),
        Action::None | Action::Notify(_) => None,
    }
}

/// The next job of a thread, and the thread to start, if any.
pub(super) fn next(queue: &Queue<u32>, id: WorkerId) -> Option<(u32, Option<WorkerId>)> {
    let Next::Run(job, action) = queue.next(id, &mut CpuTime::default()) else { return None };
    Some((job, spawned(&action)))
}

/// POOL-03 to POOL-05: the first job starts a thread, and that thread the next, until each job has one; in order of
/// arrival.
#[test]
fn threads_are_started_one_after_the_other_while_jobs_are_queued() {
    let queue = queue(3, 9);
    let (_, first) = push(&queue, 1).unwrap();
    let first = first.expect("there was no thread");
    for job in 2..6 {
        // One thread is waking.
        assert_eq!(push(&queue, job), Ok((if job <= 3 { Accepted::at_once() } else { QUEUED }, None)));
    }
    let (job, second) = next(&queue, first).unwrap();
    let second = second.expect("jobs are queued");
    let (next_job, third) = next(&queue, second).unwrap();
    let third = third.expect("jobs are queued");
    assert_eq!((job, next_job), (1, 2));
    // No more than three.
    assert_eq!(next(&queue, third), Some((3, None)));
    assert_eq!(next(&queue, first), Some((4, None)));
    assert_eq!(queue.snapshot(DEFAULT_SHARE).busy, 3);
}

/// POOL-07: the place of a job becomes free when its thread gives the job up, and not before.
#[test]
fn a_job_makes_room_once_its_thread_gives_it_up() {
    let queue = queue(1, 1);
    let slot = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!(next(&queue, slot), Some((1, None)));
    assert_eq!(push(&queue, 2), Ok((QUEUED, None)));
    assert_eq!(push(&queue, 3), Err(3));
    assert_eq!(next(&queue, slot), Some((2, None)));
    assert_eq!(push(&queue, 3), Ok((QUEUED, None)));
}

/// DISC-05, POOL-09: an obsolete job makes room in the queue.
#[test]
fn an_obsolete_job_makes_room() {
    let queue = queue(1, 1);
    let slot = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!(push(&queue, 99), Ok((QUEUED, None)));
    assert_eq!(push(&queue, 3), Ok((QUEUED, None)));
    assert_eq!(push(&queue, 4), Err(4));
    assert_eq!([(); 2].map(|()| next(&queue, slot).unwrap().0), [1, 3]);
}

/// POOL-07: the cost of a refusal does not grow with the queue, and obsolete jobs are found all the same.
#[test]
fn a_refusal_does_not_check_all_queued_jobs() {
    const REFUSALS: usize = 1000;
    let queue = queue(1, 800);
    for _ in 0..801 {
        let _ = push(&queue, 1).unwrap();
    }
    CHECKED.set(0);
    for _ in 0..REFUSALS {
        assert_eq!(push(&queue, 2), Err(2));
    }
    assert!(CHECKED.get() < 20 * REFUSALS, "{}", CHECKED.get());
    lock(&queue.state).queue.push(DEFAULT_SHARE, 99);
    let mut refusals = (0..REFUSALS).map(|_| push(&queue, 2).is_err() && queue.snapshot(DEFAULT_SHARE).queued > 801);
    assert!(refusals.position(|is_there| !is_there).is_some_and(|asked| asked < 100));
}

/// POOL-16, POOL-17, POOL-25.
#[test]
fn a_closed_queue_runs_its_jobs_and_admits_no_more() {
    let queue = queue(1, 4);
    let slot = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!(push(&queue, 2), Ok((QUEUED, None)));
    queue.close();
    queue.close();
    assert_eq!(push(&queue, 3), Err(3));
    assert_eq!([(); 3].map(|()| next(&queue, slot)), [Some((1, None)), Some((2, None)), None]);
    assert!(queue.has_threads());
    assert!(queue.leave(slot).0.is_empty());
    assert!(!queue.has_threads());
}

/// A job whose client had disconnected when a thread took it does not count as completed, nor towards the average.
#[test]
fn a_void_job_is_not_counted() {
    let queue = queue(1, 4);
    let service = queue.snapshot(DEFAULT_SHARE).average;
    let slot = push(&queue, 99).unwrap().1.unwrap();
    let _ = push(&queue, 98).unwrap();
    assert_eq!([(); 2].map(|()| next(&queue, slot).unwrap().0), [99, 98]);
    let _ = push(&queue, 1).unwrap();
    assert_eq!(next(&queue, slot), Some((1, None)));
    assert_eq!((queue.snapshot(DEFAULT_SHARE).completed, queue.snapshot(DEFAULT_SHARE).average), (0, service));
}

/// If the only thread cannot be started, the queued jobs are returned, and no other thread is spawned at once.
#[test]
fn jobs_come_back_when_the_only_thread_cannot_be_started() {
    let queue = queue(2, 4);
    let slot = push(&queue, 1).unwrap().1.unwrap();
    let (orphans, action) = queue.refused(slot);
    assert_eq!((orphans.as_slice(), spawned(&action)), (&[1][..], None));
    assert_eq!(queue.snapshot(DEFAULT_SHARE).threads, 0);
    // There is no thread, and none may be spawned yet.
    assert_eq!(push(&queue, 2), Err(2));
}

/// If there is another thread, the job waits for it.
#[test]
fn a_job_waits_for_the_live_threads_if_no_other_can_be_started() {
    let queue = queue(2, 4);
    let first = push(&queue, 1).unwrap().1.unwrap();
    let _ = push(&queue, 2).unwrap();
    let (_, second) = next(&queue, first).unwrap();
    let (orphans, action) = queue.refused(second.unwrap());
    assert_eq!((orphans.len(), spawned(&action)), (0, None));
    assert_eq!(next(&queue, first), Some((2, None)));
}

/// POOL-06: the thread that was to watch the queue cannot be started: a later push chooses another.
#[test]
fn a_watcher_that_cannot_be_started_is_replaced() {
    let queue = Queue::new(Limits { parallelism: 1, is_contended: true, ..limits(4, 9) });
    let first = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!(next(&queue, first), Some((1, None)));
    // One thread runs, as many as may, and none is idle.
    let watcher = push(&queue, 2).unwrap().1.expect("a thread that watches");
    assert_eq!(lock(&queue.state).watcher, Some(watcher));
    assert!(queue.refused(watcher).0.is_empty());
    lock(&queue.state).spawns_again = None;
    assert!(push(&queue, 3).unwrap().1.is_some());
}

/// POOL-08: a job that was admitted for a thread, and lost that thread, is delayed.
#[test]
fn jobs_that_lose_their_thread_are_delayed() {
    let queue = queue(4, 9);
    let first = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!([2, 3].map(|job| push(&queue, job).unwrap().0), [Accepted::at_once(); 2]);
    let (_, second) = next(&queue, first).unwrap();
    // The system refuses it.
    let _ = queue.refused(second.unwrap());
    assert_eq!(DELAYED.take(), [2, 3]);
    // The maximum is lowered.
    let _ = queue.resize(0, 2, 9).unwrap();
    assert_eq!(DELAYED.take(), [2, 3]);
    // A thread is reserved for another share.
    queue.open_share(ShareLimits { reserved: 1, ..ShareLimits::default() }).unwrap();
    assert_eq!(DELAYED.take(), [2, 3]);
}

/// POOL-15: busy surplus threads leave after their job.
#[test]
fn a_busy_surplus_thread_leaves_after_its_job() {
    let queue = queue(2, 4);
    let first = push(&queue, 1).unwrap().1.unwrap();
    let _ = push(&queue, 2).unwrap();
    let second = next(&queue, first).unwrap().1.unwrap();
    assert_eq!(next(&queue, second), Some((2, None)));
    assert_eq!(spawned(&queue.resize(0, 1, 4).unwrap()), None);
    let _ = push(&queue, 3).unwrap();
    assert_eq!(next(&queue, first), None);
    assert!(queue.leave(first).0.is_empty());
    assert_eq!(next(&queue, second), Some((3, None)));
    // With a higher maximum, threads are started again.
    let _ = push(&queue, 4).unwrap();
    assert!(spawned(&queue.resize(0, 2, 4).unwrap()).is_some());
}

/// POOL-15: no more threads leave than the surplus, even at the same time.
#[test]
fn a_dismissed_thread_counts_as_leaving_at_once() {
    let queue = queue(3, 9);
    let first = push(&queue, 1).unwrap().1.unwrap();
    for job in 2..=4 {
        let _ = push(&queue, job).unwrap();
    }
    let second = next(&queue, first).unwrap().1.unwrap();
    let third = next(&queue, second).unwrap().1.unwrap();
    assert_eq!(next(&queue, third), Some((3, None)));
    assert_eq!(spawned(&queue.resize(0, 2, 9).unwrap()), None);
    assert_eq!(next(&queue, first), None);
    // The first thread is dismissed and has not left yet.
    assert_eq!(next(&queue, second), Some((4, None)));
    assert!(queue.leave(first).0.is_empty());
    assert_eq!(queue.snapshot(DEFAULT_SHARE).threads, 2);
}

/// POOL-17: the only thread is idle for too long and dismissed, a job comes, and the queue is closed before the thread
/// has left.
#[test]
fn a_job_that_comes_while_the_last_thread_leaves_runs_although_the_queue_is_closed() {
    let queue = queue(1, 4);
    let first = push(&queue, 1).unwrap().1.unwrap();
    assert_eq!(next(&queue, first), Some((1, None)));
    lock(&queue.state).end(first, Instant::now());
    lock(&queue.state).threads.dismiss(first);
    assert_eq!(push(&queue, 2), Ok((Accepted::at_once(), None)));
    queue.close();
    let (orphans, action) = queue.leave(first);
    let second = spawned(&action).expect("a thread for the queued job");
    assert!(orphans.is_empty());
    assert_eq!(next(&queue, second), Some((2, None)));
    assert_eq!(next(&queue, second), None);
    assert!(queue.leave(second).0.is_empty());
}

/// POOL-08: a job that was to have a thread at once waits like any other if the thread dies and the system gives no
/// other.
#[test]
fn a_job_whose_thread_dies_is_delayed_while_none_can_be_started() {
    let queue = queue(2, 4);
    let first = push(&queue, 1).unwrap().1.unwrap();
    let (entry, _) = push(&queue, 2).unwrap();
    assert_eq!(entry, Accepted::at_once());
    let second = next(&queue, first).unwrap().1.unwrap();
    lock(&queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
    DELAYED.take();
    assert!(queue.leave(second).0.is_empty());
    assert_eq!(DELAYED.take(), [2]);
}

/// Of many threads that wait for each other, the sample finds the one that runs.
#[test]
#[cfg(target_os = "linux")]
fn a_sample_finds_the_runnable_thread_among_many_that_wait() {
    const THREADS: usize = 64;
    let (report, run_states) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let waiting = std::thread::spawn(move || {
        report.send(Arc::new(RunState::of_this_thread())).unwrap();
        let _ = gate.recv();
    });
    let waits = recv(&run_states);
    until("the thread waits", || waits.is_runnable() != Some(true));
    let queue = Queue::new(Limits { parallelism: 1, ..limits(THREADS, 2 * THREADS) });
    let mut thread = push(&queue, 0).unwrap().1;
    // Enough jobs for all threads.
    for _ in 0..2 * THREADS {
        let _ = push(&queue, 1).unwrap();
    }
    let mut last = None;
    while let Some(slot) = thread {
        thread = next(&queue, slot).unwrap().1;
        queue.observe_with(slot, Arc::clone(&waits));
        last = Some(slot);
    }
    queue.observe_with(last.unwrap(), Arc::new(RunState::of_this_thread()));
    // The first sample only resets `was_drained`; two more in a row lower the limit.
    let state = queue.sample(queue.sample(queue.sample(lock(&queue.state))));
    assert_eq!((state.threads.counts().busy, state.concurrency.allowed()), (64, 60));
    drop((state, open));
    join(waiting);
}

/// Reservations leave a thread for the other shares, in any order of calls.
#[test]
fn not_all_threads_can_be_reserved() {
    let queue = queue(4, 4);
    let share = |reserved| ShareLimits { reserved, ..ShareLimits::default() };
    assert!(queue.open_share(share(3)).is_ok());
    assert_eq!(queue.open_share(share(1)), Err(TooManyReserved(3)));
    assert!(queue.open_share(share(0)).is_ok());
    assert_eq!(queue.resize(0, 3, 4).unwrap_err(), TooManyReserved(3));
}

/// POOL-08, POOL-20: a job for which only reserved threads are left has to wait.
#[test]
fn a_job_for_which_only_reserved_threads_are_left_is_queued() {
    let queue = queue(4, 8);
    let reserved = queue.open_share(ShareLimits { reserved: 2, ..ShareLimits::default() }).unwrap();
    let entry = |share, job| queued(queue.push(share, job, None).unwrap()).0;
    assert_eq!([1, 2, 3].map(|job| entry(DEFAULT_SHARE, job)), [Accepted::at_once(), Accepted::at_once(), QUEUED]);
    assert_eq!(entry(reserved, 4), Accepted::at_once());
}

/// With `report_only`, every job is admitted.
#[test]
fn a_queue_that_only_reports_counts_the_jobs_without_room() {
    let queue = Queue::new(Limits { report_only: true, ..limits(1, 1) });
    for job in 0..5 {
        assert!(queue.push(DEFAULT_SHARE, job, None).is_ok());
    }
    assert_eq!(queue.snapshot(DEFAULT_SHARE).would_have_shed, 3);
    assert_eq!(queue.snapshot(DEFAULT_SHARE).queued, 5);
}
