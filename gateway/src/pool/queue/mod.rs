//! The queue of a pool: where the runtime hands jobs over, and where threads take them.
//!
//! One lock holds three parts: the [`AdmissionQueue`], which says whose turn it is; the [`ThreadTable`], which says who
//! is there; and [`ConcurrencyLimit`], which says how many of them should be awake. What they decide is done here, but
//! for starting threads, which the caller is told to do.
//!
//! No job is stranded: while there is a line and a thread that could take it, someone is at work and will be back for
//! it, or on its way, or watches with a timer.
//!
//! Threads: any; `next` on the pool, and blocks.

mod state;
#[cfg(all(test, not(gateway_loom)))]
mod tests;
#[cfg(all(test, gateway_loom))]
mod loom_tests;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use self::state::State;
pub(crate) use self::state::{Action, Entry, Limits};
use crate::catch_panic::catch_panic;
use crate::log;
use crate::pool::admission_queue::{DEFAULT_SHARE, ShareId, ShareLimits};
use crate::pool::concurrency_limit::{ConcurrencyLimit, SAMPLE_INTERVAL};
use crate::pool::cpu_time::CpuTime;
use crate::pool::run_state::RunState;
use crate::pool::thread_table::{ThreadState, Work, WorkerId};
use crate::sync::{Countdown, Mutex, MutexGuard, lock, wait, wait_timeout};

/// What a queue carries.
pub(crate) trait Item {
    /// What the pool may know of an item, and do to it, while it runs.
    type Handle;

    fn handle(&self) -> Self::Handle;

    /// Nobody waits for it any more.
    fn is_obsolete(&self) -> bool;

    /// Tells whoever waits for an item that it has to wait in line, whatever its [`Entry`] was.
    fn delay(handle: &Self::Handle);
}

pub(crate) struct Queue<T: Item> {
    state: Mutex<State<T>>,
}

/// So many threads are reserved already, which leaves too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyReserved(pub(crate) usize);

/// How a pool is doing, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    pub(crate) busy: usize,
    pub(crate) queued: usize,
    pub(crate) reserved: usize,
    pub(crate) completed: u64,
    pub(crate) would_have_shed: u64,
    /// How long a job takes, of late.
    pub(crate) average: Duration,
    /// Whether a job that comes by the share in question would be let in.
    pub(crate) has_room: bool,
    pub(crate) closed: bool,
}

impl<T: Item> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State::new(limits)) }
    }

    /// A place for a thread that is about to be started without a job. It goes to sleep first.
    pub(crate) fn join(&self) -> WorkerId {
        lock(&self.state).threads.join(ThreadState::Idle)
    }

    /// Lets a job in, or gives it back: there is no room, or the queue is closed. Jobs that nobody waits for any more
    /// keep no place.
    pub(crate) fn push(&self, share: ShareId, job: T) -> Result<(Entry, Action), T> {
        let mut state = lock(&self.state);
        let obsolete = state.make_room(share);
        let admitted = state.admit(share, job);
        drop(state);
        // Outside the lock, and behind the fence: what the jobs free is not our business.
        if let Err(panicked) = catch_panic(|| drop(obsolete)) {
            log::error!(error = %panicked, "a job panicked when it was dropped");
        }
        admitted
    }

    /// Gives up the job in hand, if any, and waits for the next. `None` tells the thread to leave. Calls `on_end` when
    /// the job is given up, outside the lock.
    ///
    /// # Threads
    ///
    /// Blocks: pool threads only.
    pub(crate) fn next(&self, id: WorkerId, cpu_time: &mut CpuTime, on_end: impl Fn()) -> Option<(T, Action)> {
        // Once, and before the lock, under which others wait.
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
            let taken = state.take(id, now);
            let is_in_demand = state.is_in_demand(id);
            // Outside the lock, and before any wait: nothing of a job is kept by the thread that ran it.
            drop(state);
            drop(ended);
            on_end();
            if taken.is_some() {
                cpu_time.begins(now);
                return taken;
            }
            if is_in_demand {
                // Whoever would bring the next job may be waiting for this very processor. To let it go first costs
                // less than to sleep and to be woken again. Once: this is no spinning.
                std::thread::yield_now();
            }
            state = lock(&self.state);
        }
        loop {
            let now = Instant::now();
            if let Some(taken) = state.take(id, now) {
                cpu_time.begins(now);
                return Some(taken);
            }
            if state.is_to_leave() {
                state.threads.dismiss(id);
                return None;
            }
            state = self.sleep(state, id)?;
        }
    }

    /// Sleeps until something has changed. `None` if the thread was idle for too long, and is not needed.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<T>>, id: WorkerId) -> Option<MutexGuard<'a, State<T>>> {
        let wakeup = state.rest(id)?;
        if state.watcher == Some(id) {
            let (woken, timed_out) = wait_timeout(&wakeup, state, SAMPLE_INTERVAL);
            state = woken;
            if timed_out && state.watcher == Some(id) {
                state.watcher = None;
                if state.queue.is_ready() {
                    if state.sample_is_due(Instant::now()) {
                        state = self.sample(state);
                    } else {
                        state.classify_jobs();
                    }
                    // Nobody has come for the line since: whether or not it seemed to pay, it gets another thread.
                    match state.call_if(ConcurrencyLimit::allows_another) {
                        Action::Notify(other) => other.notify_one(),
                        Action::None | Action::Spawn(_) => {}
                    }
                }
            }
            return Some(state);
        }
        match state.limits.idle_timeout.filter(|_| state.threads.staying() > state.limits.min) {
            None => Some(wait(&wakeup, state)),
            Some(timeout) => {
                let (mut state, timed_out) = wait_timeout(&wakeup, state, timeout);
                let is_idle =
                    state.threads.staying() > state.limits.min && state.is_asleep(id) && state.watcher != Some(id);
                if timed_out && is_idle {
                    state.threads.dismiss(id);
                    return None;
                }
                Some(state)
            }
        }
    }

    /// Counts who of those at work is runnable, outside the lock, unless it is known that few would be, and draws the
    /// conclusions.
    fn sample<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        /// As many as are asked, at some microseconds each. Of threads that wait for each other a single one runs,
        /// which a small sample misses, and so takes all for blocked.
        const SAMPLE: usize = 256;

        /// Of one processor's time, looking may take so small a part.
        const SHARE: u32 = 32;

        // Nobody else looks meanwhile.
        state.until_sample = Some(Countdown::new(Duration::from_secs(1)));
        let begun = Instant::now();
        state.classify_jobs();
        let busy = state.threads.busy() - state.concurrency.long();
        let runnable = if state.concurrency.jobs_block() {
            Some(0)
        } else {
            let sample: Vec<Arc<RunState>> = state.threads.run_states().take(SAMPLE).cloned().collect();
            drop(state);
            let asked = sample.len();
            let runnable: Option<usize> = sample.iter().map(|run_state| run_state.is_runnable().map(usize::from)).sum();
            state = lock(&self.state);
            // Of the sample, or none could be asked.
            runnable.filter(|_| asked > 0 || busy == 0).map(|count| (count * busy).div_ceil(asked.max(1)))
        };
        let allowed = state.concurrency.allowed();
        state.concurrency.sample(runnable);
        let pause = state.concurrency.pause().max(begun.elapsed().saturating_mul(SHARE));
        state.until_sample = Some(Countdown::new(pause));
        if state.concurrency.allowed() >= allowed {
            return state;
        }
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        lock(&self.state)
    }

    /// Takes out a thread that the system has refused. None is asked for again for a while, as it would be refused,
    /// too.
    pub(crate) fn refused(&self, id: WorkerId) -> (Vec<T>, Action) {
        let mut state = lock(&self.state);
        state.spawns_again = Some(Instant::now() + Duration::from_secs(1));
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        self.leave(id)
    }

    /// Takes a thread out of the count. Without any thread left, gives back the jobs that nobody will run.
    pub(crate) fn leave(&self, id: WorkerId) -> (Vec<T>, Action) {
        let mut state = lock(&self.state);
        // One that was killed in the middle of a job has not given it up.
        let ended = state.end(id, Instant::now());
        let Some(slot) = state.threads.leave(id) else { return (Vec::new(), Action::None) };
        if slot.state == ThreadState::Waking {
            state.concurrency.arrived();
        }
        if slot.state != ThreadState::Idle {
            state.concurrency.rests();
        }
        if state.watcher == Some(id) {
            state.watcher = None;
        }
        let call = state.call();
        if state.threads.live() > 0 {
            drop(state);
            drop(ended);
            return (Vec::new(), call);
        }
        let waiting = std::mem::take(&mut state.waiting_for_end);
        let orphans = state.queue.take_out(|_| true);
        drop(state);
        drop(ended);
        waiting.into_iter().for_each(Waker::wake);
        (orphans, Action::None)
    }

    /// What this thread is to be looked at by.
    pub(crate) fn observe_with(&self, id: WorkerId, run_state: Arc<RunState>) {
        lock(&self.state).threads.observe_with(id, run_state);
    }

    /// A share of its own.
    pub(crate) fn open_share(&self, limits: ShareLimits) -> Result<ShareId, TooManyReserved> {
        let mut state = lock(&self.state);
        let reserved = state.queue.reserved();
        // Somebody has to run the rest.
        if limits.reserved > 0 && reserved.saturating_add(limits.reserved) >= state.limits.max {
            return Err(TooManyReserved(reserved));
        }
        let share = state.queue.open(limits);
        if limits.reserved > 0 {
            let delayed = state.delayed();
            drop(state);
            delayed.iter().for_each(T::delay);
        }
        Ok(share)
    }

    pub(crate) fn close_share(&self, share: ShareId) -> Action {
        let mut state = lock(&self.state);
        state.queue.close(share);
        state.call()
    }

    /// Sets other limits, unless more is reserved than that. Threads beyond the most leave as soon as they are idle;
    /// [`refill`](Queue::refill) tells of those that are to be started.
    pub(crate) fn resize(&self, min: usize, max: usize, places: usize) -> Result<Action, TooManyReserved> {
        let mut state = lock(&self.state);
        let reserved = state.queue.reserved();
        if reserved > 0 && reserved >= max {
            return Err(TooManyReserved(reserved));
        }
        (state.limits.min, state.limits.max, state.limits.places) = (min, max, places);
        state.queue.resize(max, places);
        state.concurrency.resize(max);
        state.threads.wakeups().for_each(|wakeup| wakeup.notify_one());
        let call = state.call();
        let delayed = state.delayed();
        drop(state);
        delayed.iter().for_each(T::delay);
        Ok(call)
    }

    /// A thread to start because there are fewer than there should be.
    pub(crate) fn refill(&self) -> Option<WorkerId> {
        let mut state = lock(&self.state);
        let is_short = !state.closed && state.threads.staying() < state.limits.min;
        is_short.then(|| state.threads.join(ThreadState::Idle))
    }

    /// Lets nothing in any more. What is queued still runs, then the threads leave.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.watcher = None;
        while let Some((_, wakeup)) = state.threads.call() {
            state.concurrency.woken();
            wakeup.notify_one();
        }
    }

    /// Takes all jobs off the line. They are given back, to be dropped.
    pub(crate) fn clear(&self) -> Vec<T> {
        lock(&self.state).queue.take_out(|_| true)
    }

    /// How the pool is doing, as seen from a share.
    pub(crate) fn snapshot(&self, share: ShareId) -> Snapshot {
        self.snapshot_with(share, |_, _| ()).0
    }

    /// How the pool is doing, as seen from a share, and what `look` makes of each job that runs; all of one moment.
    pub(crate) fn snapshot_with<R>(
        &self,
        share: ShareId,
        look: impl Fn(WorkerId, &Work<T::Handle>) -> R,
    ) -> (Snapshot, Vec<R>) {
        let state = lock(&self.state);
        let running = state.threads.working().map(|(id, work)| look(id, work)).collect();
        let snapshot = Snapshot {
            limits: state.limits.clone(),
            threads: state.threads.live(),
            busy: state.threads.busy(),
            queued: state.queue.queued(),
            reserved: state.queue.reserved(),
            completed: state.completed,
            would_have_shed: state.would_have_shed,
            average: state.concurrency.average(),
            has_room: state.takes_jobs() && (state.limits.report_only || state.queue.has_room(share)),
            closed: state.closed,
        };
        (snapshot, running)
    }

    pub(crate) fn max_threads(&self) -> usize {
        lock(&self.state).limits.max
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// What `look` makes of each job that runs, under the lock.
    pub(crate) fn running<R>(&self, look: impl Fn(WorkerId, &Work<T::Handle>) -> R) -> Vec<R> {
        self.snapshot_with(DEFAULT_SHARE, look).1
    }

    /// Waits until the last thread has left.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.threads.live() == 0 {
            return Poll::Ready(());
        }
        if !state.waiting_for_end.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting_for_end.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
