//! Pools with other wakeup policies.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gateway::{Accepted, Executor, Job, Refused};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All threads wait on one condition variable, and each job notifies one of them.
pub(crate) struct Plain {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<(VecDeque<Job>, bool)>,
    work: Condvar,
}

impl Plain {
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        for _ in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                loop {
                    let queue = lock(&shared.queue);
                    let is_waited_for = |(jobs, is_over): &mut (VecDeque<Job>, bool)| jobs.is_empty() && !*is_over;
                    let mut queue =
                        shared.work.wait_while(queue, is_waited_for).unwrap_or_else(PoisonError::into_inner);
                    let Some(job) = queue.0.pop_front() else { return };
                    drop(queue);
                    job.run();
                }
            });
        }
        Self { shared }
    }

    fn push(&self, job: Job) {
        lock(&self.shared.queue).0.push_back(job);
        self.shared.work.notify_one();
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        lock(&self.shared.queue).1 = true;
        self.shared.work.notify_all();
    }
}

#[async_trait]
impl Executor for Plain {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.push(job);
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.push(job);
        Ok(Accepted::at_once())
    }
}

/// A job that is older than this time is assumed to wait instead of using a CPU.
const OLD: Duration = Duration::from_millis(2);

/// At most as many threads run as there are CPUs, without the threads whose job is old. The thread that became idle
/// last is notified first, and one thread checks the ages of the jobs while the queue is not empty.
pub(crate) struct ByAge {
    shared: Arc<Threads>,
}

struct Threads {
    state: Mutex<State>,
    wakeups: Vec<Condvar>,
    watch: Condvar,
    limit: usize,
}

struct State {
    jobs: VecDeque<Job>,
    idle: Vec<usize>,
    /// The start time of the job of each thread.
    begun: Vec<Option<Instant>>,
    called: Vec<bool>,
    is_over: bool,
}

impl State {
    /// The number of threads that have been notified but do not run yet, or whose job is young.
    fn count(&self) -> usize {
        let young = self.begun.iter().flatten().filter(|begun| begun.elapsed() < OLD).count();
        young + self.called.iter().filter(|called| **called).count()
    }
}

impl ByAge {
    pub(crate) fn new(threads: usize, limit: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            idle: (0..threads).collect(),
            begun: vec![None; threads],
            called: vec![false; threads],
            is_over: false,
        };
        let wakeups = (0..threads).map(|_| Condvar::new()).collect();
        let shared = Arc::new(Threads { state: Mutex::new(state), wakeups, watch: Condvar::new(), limit });
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work(number));
        }
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || watched.watch());
        Self { shared }
    }
}

impl Threads {
    fn push(&self, job: Job) {
        let mut state = lock(&self.state);
        let was_empty = state.jobs.is_empty();
        state.jobs.push_back(job);
        self.call(&mut state);
        if was_empty && !state.jobs.is_empty() {
            self.watch.notify_one();
        }
    }

    fn call(&self, state: &mut State) {
        if state.count() < self.limit
            && let Some(number) = state.idle.pop()
        {
            state.called[number] = true;
            self.wakeups[number].notify_one();
        }
    }

    fn work(&self, number: usize) {
        let mut state = lock(&self.state);
        loop {
            state.begun[number] = None;
            // A thread that has finished its job continues, unless the limit is reached.
            let mut goes_on = state.called[number] || state.count() < self.limit && !state.idle.contains(&number);
            state.called[number] = false;
            if !goes_on || state.jobs.is_empty() {
                if !state.idle.contains(&number) {
                    state.idle.push(number);
                }
                while !state.called[number] && !state.is_over {
                    state = self.wakeups[number].wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                goes_on = !state.is_over || !state.jobs.is_empty();
                state.called[number] = false;
            }
            if !goes_on {
                return;
            }
            let Some(job) = state.jobs.pop_front() else { continue };
            state.begun[number] = Some(Instant::now());
            drop(state);
            job.run();
            state = lock(&self.state);
        }
    }

    fn watch(&self) {
        let mut state = lock(&self.state);
        while !state.is_over {
            state = if state.jobs.is_empty() {
                self.watch.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.watch.wait_timeout(state, OLD).unwrap_or_else(PoisonError::into_inner).0
            };
            for _ in 0..self.limit {
                if !state.jobs.is_empty() {
                    self.call(&mut state);
                }
            }
        }
    }
}

impl Drop for ByAge {
    fn drop(&mut self) {
        lock(&self.shared.state).is_over = true;
        self.shared.watch.notify_all();
        self.shared.wakeups.iter().for_each(Condvar::notify_all);
    }
}

#[async_trait]
impl Executor for ByAge {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        self.shared.push(job);
        Ok(())
    }

    fn try_execute(&self, job: Job) -> Result<Accepted, Refused> {
        self.shared.push(job);
        Ok(Accepted::at_once())
    }
}
