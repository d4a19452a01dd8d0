//! The queue of a pool: the runtime pushes jobs, and the threads of the pool take them.
//!
//! One lock guards three parts: the [`AdmissionQueue`], which orders the jobs; the [`ThreadTable`], with the state of
//! each thread; and the [`ConcurrencyLimit`], which bounds the running threads. Their decisions are made under the
//! lock. The caller notifies and spawns after it has released the lock: see [`Action`].
//!
//! No job is stranded: while a queued job may start, a thread is running and takes a job afterwards, or a thread is
//! waking, or the watcher waits with a timer.
//!
//! Threads: any; `next` on the pool, and blocks.

#[cfg_attr(not(feature = "serve"), allow(dead_code))]
mod drivers;
mod snapshot;
mod state;
#[cfg(all(any(test, gateway_fuzz), not(gateway_loom)))]
pub(crate) mod fuzz_tests;
#[cfg(all(test, not(gateway_loom)))]
mod tests;
#[cfg(all(test, gateway_loom))]
mod loom_tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::drivers::EndedHere;
pub(crate) use self::snapshot::Snapshot;
use self::state::State;
pub(crate) use self::state::{Action, Limits, Pushed};
use crate::log;
use crate::pool::admission_queue::{ShareId, ShareLimits};
use crate::pool::concurrency_limit::{ConcurrencyLimit, SAMPLE_INTERVAL};
use crate::pool::cpu_time::CpuTime;
use crate::pool::run_state::RunState;
use crate::pool::thread_table::{ThreadState, WorkerId};
use crate::sync::{Countdown, Mutex, MutexGuard, lock, wait, wait_timeout};

/// What a queue carries.
pub(crate) trait QueueItem {
    /// What the pool may observe of an item, and do to it, while it runs.
    type Handle;

    fn handle(&self) -> Self::Handle;

    /// Whether the client has disconnected. Called under the lock of the queue.
    fn is_obsolete(&self) -> bool;

    /// Tells the client that the item has to wait, even if it was accepted [at once](Accepted::at_once). Wakes a task:
    /// not under the lock of the queue. May race with the start of the item, and then changes nothing.
    fn delay(handle: &Self::Handle);

    /// The item has run for this time. Called under the lock of the queue.
    fn ran(handle: &Self::Handle, took: Duration);
}

pub(crate) struct Queue<T: QueueItem> {
    state: Mutex<State<T>>,
}

/// The reservation was refused: this many threads are reserved already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyReserved(pub(crate) usize);

/// What a thread does next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// It runs this job, once the caller has performed the action.
    Run(T, Action),
    /// It drives connections, once the caller has performed the action.
    Drive(Action),
    /// It ends.
    Leave,
}

impl<T: QueueItem> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State::new(limits)) }
    }

    /// A slot for a thread that is about to be started and becomes idle first.
    pub(crate) fn join(&self) -> WorkerId {
        lock(&self.state).threads.join(ThreadState::Starting)
    }

    /// Admits a job, or returns it if there is no room or the queue is closed. Obsolete jobs make room.
    /// `driver` is the thread that has read the request, if the job is likely to be short.
    pub(crate) fn push(&self, share: ShareId, job: T, driver: Option<WorkerId>) -> Result<Pushed<T>, T> {
        let mut state = lock(&self.state);
        let obsolete = state.make_room(share);
        let admitted = state.admit(share, job, driver);
        drop(state);
        // Outside the lock: the destructor of a job is foreign code, which may use this pool and would deadlock. A
        // panic is caught: it would lose the action, and the thread that counts as waking would not be notified.
        log::drop_each(obsolete, "a job panicked when it was dropped");
        admitted
    }

    /// Gives up the job of the thread, if any, and waits for what it is to do next.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn next(&self, id: WorkerId, cpu_time: &mut CpuTime) -> Next<T> {
        // Before the lock, so that the clock is not read in the critical section.
        let mut now = Instant::now();
        let computed = cpu_time.ends(now);
        let mut state = lock(&self.state);
        if let Some(ended) = state.end(id, now) {
            if let Some(part) = computed {
                state.concurrency.computed(part);
            }
            if state.sample_is_due(now) {
                state = self.sample(state);
                now = Instant::now();
            }
            // Before a job: without drivers, no connection is read.
            let drives = state.becomes_driver(id);
            let taken = if drives.is_some() { None } else { state.take(id, now) };
            let is_in_demand = state.is_in_demand(id);
            // Outside the lock: `ended` may run destructors. Before any wait: an idle thread
            // keeps nothing of its last job.
            drop(state);
            log::panic_of!(drop(ended), "a job panicked when it was dropped");
            if let Some(action) = drives {
                return Next::Drive(action);
            }
            if let Some((job, action)) = taken {
                cpu_time.begins(now);
                return Next::Run(job, action);
            }
            if is_in_demand {
                // The next push may wait for this CPU. A yield costs less than a wait and a wakeup. Once: no spinning.
                std::thread::yield_now();
            }
            state = lock(&self.state);
        }
        // A push since the lock was released may have notified no thread, as this one was not idle: take again. From
        // that `take` until `wait` the lock is held, so that no push comes between them.
        loop {
            // Chosen while it was idle, or since then.
            if matches!(state.threads.state(id), ThreadState::Driving) {
                return Next::Drive(Action::None);
            }
            if let Some(action) = state.becomes_driver(id) {
                return Next::Drive(action);
            }
            let now = Instant::now();
            if let Some((job, action)) = state.take(id, now) {
                cpu_time.begins(now);
                return Next::Run(job, action);
            }
            if state.is_to_leave() {
                state.threads.dismiss(id);
                return Next::Leave;
            }
            let Some(woken) = self.wait(state, id) else { return Next::Leave };
            state = woken;
        }
    }

    /// Waits for a notification. `None` if the thread's idle timeout has passed and it is not needed.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State<T>>, id: WorkerId) -> Option<MutexGuard<'a, State<T>>> {
        let wakeup = state.become_idle(id);
        if state.watcher == Some(id) {
            // With a timer: if all running threads block and no push follows, no notification comes.
            let (woken, timed_out) = wait_timeout(&wakeup, state, SAMPLE_INTERVAL);
            state = woken;
            // Between the timeout and the lock, a push may have chosen this thread for a job, and so cleared `watcher`.
            if timed_out && state.watcher == Some(id) {
                state.watcher = None;
                if state.queue.is_ready() {
                    if state.sample_is_due(Instant::now()) {
                        state = self.sample(state);
                    } else {
                        state.classify_jobs();
                    }
                    // No thread took the job in time: wake one more even if that does not seem to pay. Never `Spawn`:
                    // this thread is idle and can be chosen, or was chosen during the sample and is waking.
                    match state.wake_if(ConcurrencyLimit::allows_another) {
                        Action::Notify(other) => other.notify_one(),
                        Action::None | Action::Spawn(_) => {}
                    }
                }
            }
            return Some(state);
        }
        match state.limits.idle_timeout.filter(|_| state.threads.counts().staying() > state.limits.min) {
            None => Some(wait(&wakeup, state)),
            Some(timeout) => {
                let (mut state, timed_out) = wait_timeout(&wakeup, state, timeout);
                // Between the timeout and the lock, a push may have chosen this thread, for a job or as the watcher.
                let is_idle = state.threads.counts().staying() > state.limits.min
                    && state.is_idle(id)
                    && state.watcher != Some(id);
                if timed_out && is_idle {
                    state.threads.dismiss(id);
                    return None;
                }
                Some(state)
            }
        }
    }

    /// Counts the runnable threads among the busy, unless the jobs are known to block, and adapts the limit.
    fn sample<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        /// The most threads in a sample, at some microseconds each. Of threads that wait for each other only one runs;
        /// a small sample misses it and takes all for blocked.
        const SAMPLE: usize = 256;

        /// Samples may take at most this fraction of one CPU.
        const SHARE: u32 = 32;

        // Keeps other threads from a second sample while the lock is released.
        state.until_sample = Some(Countdown::new(Duration::from_secs(1)));
        let begun = Instant::now();
        state.classify_jobs();
        let counts = state.threads.counts();
        let busy = counts.busy - counts.long;
        let runnable = if state.concurrency.jobs_block(counts) {
            Some(0)
        } else {
            let sample: Vec<Arc<RunState>> = state.threads.run_states().take(SAMPLE).cloned().collect();
            // Outside the lock: pushes must not wait for the reads of `/proc`.
            drop(state);
            let sampled = sample.len();
            let runnable: Option<usize> = sample.iter().map(|run_state| run_state.is_runnable().map(usize::from)).sum();
            state = lock(&self.state);
            // Scaled from the sample to all busy threads; `None` if no thread could be read.
            runnable.filter(|_| sampled > 0 || busy == 0).map(|count| (count * busy).div_ceil(sampled.max(1)))
        };
        let allowed = state.concurrency.allowed();
        let counts = state.threads.counts();
        state.concurrency.sample(counts, runnable);
        let pause = state.concurrency.pause().max(begun.elapsed().saturating_mul(SHARE));
        state.until_sample = Some(Countdown::new(pause));
        if state.concurrency.allowed() >= allowed {
            return state;
        }
        let delayed = state.delayed();
        drop(state);
        delay::<T>(&delayed);
        // Not under the lock.
        drop(delayed);
        lock(&self.state)
    }

    /// Frees the slot of a thread that the system has refused. For a second no thread is spawned, as the system would
    /// refuse it, too.
    pub(crate) fn refused(&self, id: WorkerId) -> (Vec<T>, Action) {
        let mut state = lock(&self.state);
        state.refuse_threads();
        // Same critical section: no job is let in that counts on this thread.
        self.leave_locked(state, id)
    }

    /// Frees the slot of a thread. If it was the last, returns the jobs that no thread will run.
    pub(crate) fn leave(&self, id: WorkerId) -> (Vec<T>, Action) {
        self.leave_locked(lock(&self.state), id)
    }

    fn leave_locked(&self, mut state: MutexGuard<'_, State<T>>, id: WorkerId) -> (Vec<T>, Action) {
        // A thread that panicked in a job has not given the job up.
        let ended = state.end(id, Instant::now());
        state.threads.leave(id);
        state.watches_no_more(id);
        // A job pushed since the thread was dismissed may have found no thread and no free slot. Now there is one.
        let action = state.wake_if_it_pays();
        let orphans = state.orphans();
        // If another thread cannot be spawned, a job that was admitted for this one has to wait.
        let delayed = state.delayed();
        drop(state);
        log::panic_of!(drop(ended), "a job panicked when it was dropped");
        delay::<T>(&delayed);
        (orphans, action)
    }

    /// Sets the run state that samples read for this thread.
    pub(crate) fn observe_with(&self, id: WorkerId, run_state: Arc<RunState>) {
        lock(&self.state).threads.observe_with(id, run_state);
    }

    /// Opens a share.
    pub(crate) fn open_share(&self, limits: ShareLimits) -> Result<ShareId, TooManyReserved> {
        let mut state = lock(&self.state);
        let reserved = state.queue.reserved();
        // One thread is left for the other shares.
        if limits.reserved > 0 && reserved.saturating_add(limits.reserved) >= state.limits.max {
            return Err(TooManyReserved(reserved));
        }
        let share = state.queue.open(limits);
        if limits.reserved > 0 {
            let delayed = state.delayed();
            drop(state);
            delay::<T>(&delayed);
        }
        Ok(share)
    }

    pub(crate) fn close_share(&self, share: ShareId) -> Action {
        let mut state = lock(&self.state);
        state.queue.close(share);
        state.wake_if_it_pays()
    }

    /// Changes the limits, unless the reservations leave no thread. Surplus threads leave once they are idle;
    /// [`refill`](Queue::refill) has the missing ones started.
    pub(crate) fn resize(&self, min: usize, max: usize, queue_limit: usize) -> Result<Action, TooManyReserved> {
        let mut state = lock(&self.state);
        let reserved = state.queue.reserved();
        if reserved > 0 && reserved >= max {
            return Err(TooManyReserved(reserved));
        }
        (state.limits.min, state.limits.max, state.limits.queue_limit) = (min, max, queue_limit);
        state.queue.resize(max, queue_limit);
        state.concurrency.resize(max);
        // Idle threads wait without a timer: they have to check whether to leave, and which timeout they need now.
        state.threads.wakeups().for_each(|wakeup| wakeup.notify_one());
        let action = state.wake_if_it_pays();
        let delayed = state.delayed();
        drop(state);
        delay::<T>(&delayed);
        Ok(action)
    }

    /// A slot for a thread to start, if there are fewer threads than the minimum.
    pub(crate) fn refill(&self) -> Option<WorkerId> {
        let mut state = lock(&self.state);
        let is_short = !state.closed && state.threads.counts().staying() < state.limits.min;
        is_short.then(|| state.threads.join(ThreadState::Starting))
    }

    /// Admits no more jobs. Queued jobs still run, then the threads leave. `push` reads `closed` under the same lock: a
    /// job is queued before the threads are woken here, or refused.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.watcher = None;
        while let Some((_, wakeup)) = state.threads.choose_latest(ThreadState::Waking) {
            wakeup.notify_one();
        }
    }

    /// Removes all queued jobs. The caller drops them, outside the lock.
    pub(crate) fn clear(&self) -> Vec<T> {
        lock(&self.state).queue.take_out(|_| true)
    }

    pub(crate) fn max_threads(&self) -> usize {
        lock(&self.state).limits.max
    }

    /// Whether the pool has a thread, or one that is being started.
    pub(crate) fn has_threads(&self) -> bool {
        let state = lock(&self.state);
        let counts = state.threads.counts();
        counts.live + counts.driving_busy > 0 || state.queue.queued() > 0
    }
}

/// Delays these items. A waker is foreign code: its panic is caught, as it would lose the action of the caller.
fn delay<T: QueueItem>(items: &[T::Handle]) {
    for item in items {
        log::panic_of!(T::delay(item), "a waker panicked");
    }
}
