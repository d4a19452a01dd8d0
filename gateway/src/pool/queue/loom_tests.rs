//! Models of the queue, in which loom tries every order of events: see `models`.
//!
//! The threads of the pool are loom's. Each does what `worker.rs` does, with numbers as jobs.
//!
//! Threads: loom's.

use std::sync::Mutex as StdMutex;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::*;
use crate::models::assert_outcomes;
use crate::pool::admission_queue::DEFAULT_SHARE;
use crate::sync::Condvar;

/// Runs until [`FREES`] has run.
const WAITS: u8 = 10;
const FREES: u8 = 11;

/// Ends its thread.
const KILLS: u8 = 12;

#[derive(Debug)]
struct Job {
    number: u8,
    /// Its client has disconnected.
    is_obsolete: Arc<AtomicBool>,
}

impl QueueItem for Job {
    type Handle = ();

    fn handle(&self) {}

    fn delay((): &()) {}

    fn ran((): &(), _: Duration) {}

    fn is_obsolete(&self) -> bool {
        self.is_obsolete.load(Ordering::SeqCst)
    }
}

/// The jobs that ran, and the jobs that were returned or dropped.
type Ends = (Vec<u8>, Vec<u8>);

struct Pool {
    queue: Queue<Job>,
    ran: Mutex<Vec<u8>>,
    has_run: Condvar,
    given_back: Mutex<Vec<u8>>,
    /// Threads that have become drivers, and then left.
    drivers: Mutex<usize>,
    /// A lock of the standard library, which orders nothing in the model.
    threads: StdMutex<Vec<thread::JoinHandle<()>>>,
}

impl Pool {
    fn new(threads: usize, queue_limit: usize) -> Arc<Self> {
        let limits =
            Limits { max: threads, queue_limit, queue_timeout: Duration::MAX, parallelism: 1, ..Limits::default() };
        Arc::new(Self {
            queue: Queue::new(limits),
            ran: Mutex::new(Vec::new()),
            has_run: Condvar::new(),
            given_back: Mutex::new(Vec::new()),
            drivers: Mutex::new(0),
            threads: StdMutex::default(),
        })
    }

    /// A pool whose measured median is too short to wake another thread.
    fn of_short_jobs(threads: usize, queue_limit: usize) -> Arc<Self> {
        let pool = Self::new(threads, queue_limit);
        let mut state = lock(&pool.queue.state);
        (0..100).for_each(|_| state.concurrency.served(Duration::ZERO));
        drop(state);
        pool
    }

    fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Action::None => {}
            Action::Notify(wakeup) => wakeup.notify_one(),
            Action::Spawn(id) => {
                let pool = Arc::clone(self);
                let thread = thread::spawn(move || pool.work(id));
                self.threads.lock().unwrap().push(thread);
            }
        }
    }

    fn work(self: &Arc<Self>, id: WorkerId) {
        loop {
            let (job, action) = match self.queue.next(id, &mut CpuTime::default()) {
                Next::Run(job, action) => (job, action),
                Next::Drive(action) => {
                    self.perform(action);
                    *lock(&self.drivers) += 1;
                    return;
                }
                Next::Leave => break,
            };
            self.perform(action);
            if job.number == WAITS {
                self.wait_for(&[FREES]);
            }
            lock(&self.ran).push(job.number);
            self.has_run.notify_all();
            if job.number == KILLS {
                break;
            }
        }
        let (orphans, action) = self.queue.leave(id);
        lock(&self.given_back).extend(orphans.iter().map(|job| job.number));
        self.perform(action);
    }

    fn push(self: &Arc<Self>, number: u8) {
        self.push_job(Job { number, is_obsolete: Arc::default() });
    }

    fn push_job(self: &Arc<Self>, job: Job) {
        match self.queue.push(DEFAULT_SHARE, job, None) {
            Ok(Pushed::Queued(_, action)) => self.perform(action),
            Ok(Pushed::Here(_)) => panic!("there is no driver"),
            Err(job) => lock(&self.given_back).push(job.number),
        }
    }

    /// A thread that drives.
    fn driver(&self) -> WorkerId {
        self.queue.want_drivers(1);
        self.queue.join_driver().unwrap()
    }

    /// Waits until all of these have run. A stranded job is a wait for ever, which loom reports as a deadlock.
    fn wait_for(&self, numbers: &[u8]) {
        let mut ran = lock(&self.ran);
        while !numbers.iter().all(|number| ran.contains(number)) {
            ran = wait(&self.has_run, ran);
        }
    }

    fn join(&self) {
        loop {
            let Some(thread) = self.threads.lock().unwrap().pop() else { break };
            thread.join().unwrap();
        }
    }

    /// Closes the queue, waits for all threads, and returns the ends of the jobs.
    fn end(&self) -> Ends {
        self.queue.close();
        self.join();
        let snapshot = self.queue.snapshot(DEFAULT_SHARE);
        assert_eq!((snapshot.threads, snapshot.busy, snapshot.queued), (0, 0, 0));
        assert!(!self.queue.has_threads());
        let sorted = |numbers: &Mutex<Vec<u8>>| {
            let mut numbers = lock(numbers).clone();
            numbers.sort_unstable();
            numbers
        };
        (sorted(&self.ran), sorted(&self.given_back))
    }
}

/// No wake-up is lost between a push and a thread that becomes idle: the last job runs without a further push.
#[test]
fn a_push_and_a_thread_that_becomes_idle_do_not_miss_each_other() {
    for threads in 1..=2 {
        assert_outcomes(&[(vec![1, 2], vec![])], move || {
            let pool = Pool::new(threads, 2);
            pool.push(1);
            pool.push(2);
            pool.wait_for(&[1, 2]);
            pool.end()
        });
    }
}

/// POOL-16: a job that is pushed while the queue closes either runs or is returned.
#[test]
fn a_push_against_the_close_is_run_or_refused() {
    assert_outcomes(&[(vec![1, 2], vec![]), (vec![1], vec![2])], || {
        let pool = Pool::new(1, 2);
        pool.push(1);
        let closing = Arc::clone(&pool);
        let closer = thread::spawn(move || closing.queue.close());
        pool.push(2);
        closer.join().unwrap();
        pool.end()
    });
}

/// POOL-06: jobs that wait for each other both run, although the policy wakes no second thread for them: the watcher
/// does.
#[test]
fn adaptive_waking_strands_no_job() {
    assert_outcomes(&[(vec![WAITS, FREES], vec![])], || {
        let pool = Pool::of_short_jobs(2, 2);
        pool.push(WAITS);
        pool.push(FREES);
        pool.wait_for(&[WAITS, FREES]);
        pool.end()
    });
}

/// POOL-10: a thread that dies in its job frees its slot once, and another thread takes over.
#[test]
fn a_thread_that_dies_frees_its_slot_and_is_replaced() {
    assert_outcomes(&[(vec![1, KILLS], vec![])], || {
        let pool = Pool::new(1, 2);
        pool.push(KILLS);
        pool.push(1);
        pool.wait_for(&[KILLS, 1]);
        pool.end()
    });
}

/// POOL-09: a job whose client disconnects runs if a thread has it already, or makes room; its place becomes free once.
#[test]
fn a_job_that_is_cancelled_frees_its_place_once() {
    // The place of the second job is taken, or free because a thread took the job, or because its client disconnected.
    let expected = [(vec![1, 2, 3], vec![]), (vec![1, 3], vec![]), (vec![1, 2], vec![3])];
    assert_outcomes(&expected, || {
        let pool = Pool::new(1, 1);
        pool.push(1);
        let gone = Arc::new(AtomicBool::new(false));
        pool.push_job(Job { number: 2, is_obsolete: Arc::clone(&gone) });
        let client = thread::spawn(move || gone.store(true, Ordering::SeqCst));
        pool.push(3);
        client.join().unwrap();
        pool.end()
    });
}

/// POOL-15: a busy pool that shrinks loses no job.
#[test]
fn a_pool_that_shrinks_strands_no_job() {
    assert_outcomes(&[(vec![1, 2], vec![])], || {
        let pool = Pool::new(2, 2);
        pool.push(1);
        pool.push(2);
        let action = pool.queue.resize(0, 1, 2).unwrap();
        pool.perform(action);
        pool.wait_for(&[1, 2]);
        pool.end()
    });
}

/// POOL-23: a push that races with the idle timeout of the only thread strands no job.
#[test]
fn an_idle_thread_that_leaves_strands_no_job() {
    assert_outcomes(&[(vec![1, 2], vec![])], || {
        let pool = Pool::new(1, 2);
        lock(&pool.queue.state).limits.idle_timeout = Some(Duration::from_secs(1));
        pool.push(1);
        pool.wait_for(&[1]);
        pool.push(2);
        pool.wait_for(&[1, 2]);
        pool.end()
    });
}

/// POOL-06: no job is stranded while the limit is low because jobs seem to compute.
#[test]
fn a_lowered_limit_strands_no_job() {
    assert_outcomes(&[(vec![1, WAITS, FREES], vec![])], || {
        let pool = Pool::new(2, 2);
        pool.push(WAITS);
        pool.push(1);
        let mut state = lock(&pool.queue.state);
        // The first sample only resets `was_drained`; two more in a row lower the limit.
        (0..3).for_each(|_| {
            let threads = state.threads.counts();
            state.concurrency.sample(threads, Some(9));
        });
        drop(state);
        pool.push(FREES);
        pool.wait_for(&[WAITS, FREES, 1]);
        pool.end()
    });
}

/// The job of a driver ends while the watch finds that it runs for too long: the thread goes on as a driver, or as a
/// worker, and the watch knows which.
#[test]
fn a_driver_whose_job_is_held_becomes_a_worker_once() {
    assert_outcomes(&[(true, 0), (false, 1)], || {
        let pool = Pool::new(1, 1);
        let id = pool.driver();
        let job = Job { number: 1, is_obsolete: Arc::default() };
        assert!(matches!(pool.queue.push(DEFAULT_SHARE, job, Some(id)), Ok(Pushed::Here(_))));
        let watching = Arc::clone(&pool);
        let watch = thread::spawn(move || watching.queue.hold(&[id], Duration::ZERO).0.len());
        let still_drives = pool.queue.end_here(id).still_drives;
        let held = watch.join().unwrap();
        let counts = lock(&pool.queue.state).threads.counts();
        assert_eq!((counts.live, counts.busy, counts.driving_busy), (held, 0, 0));
        (still_drives, held)
    });
}

/// A driver gives back the job of a poll that lasts: a worker runs it.
#[test]
fn a_job_that_a_driver_gives_back_runs_once() {
    assert_outcomes(&[()], || {
        let pool = Pool::new(1, 1);
        let id = pool.driver();
        let job = Job { number: 1, is_obsolete: Arc::default() };
        let Ok(Pushed::Here(job)) = pool.queue.push(DEFAULT_SHARE, job, Some(id)) else { panic!("it has a driver") };
        let (orphans, action) = pool.queue.give_back(id, job);
        assert!(orphans.is_empty());
        pool.perform(action);
        assert_eq!(pool.end(), (vec![1], vec![]));
    });
}

/// A driver is held while the only idle thread is given a job: that thread drives in its place, or the caller is to
/// start one. The job runs.
#[test]
fn a_thread_that_is_promoted_strands_no_job() {
    assert_outcomes(&[(1, false), (0, true)], || {
        let pool = Pool::new(2, 2);
        let id = pool.driver();
        pool.push(1);
        // No third worker in any order: loom has five threads.
        lock(&pool.queue.state).spawns_again = Some(Instant::now() + Duration::from_secs(3600));
        pool.wait_for(&[1]);
        let job = Job { number: 2, is_obsolete: Arc::default() };
        assert!(matches!(pool.queue.push(DEFAULT_SHARE, job, Some(id)), Ok(Pushed::Here(_))));
        let watching = Arc::clone(&pool);
        let watch = thread::spawn(move || {
            let (held, action) = watching.queue.hold(&[id], Duration::ZERO);
            assert_eq!(held, [id]);
            watching.perform(action);
            watching.queue.join_driver().is_some()
        });
        pool.push(3);
        let starts = watch.join().unwrap();
        // The held thread goes on as a worker.
        let worker = Arc::clone(&pool);
        pool.threads.lock().unwrap().push(thread::spawn(move || worker.work(id)));
        pool.wait_for(&[3]);
        pool.queue.close();
        pool.join();
        (*lock(&pool.drivers), starts)
    });
}
