//! The thread table of a pool: one slot for each thread, with its state and its job.
//!
//! One fn, `set`, changes the state of a thread. It keeps the counts and the list of idle threads, so that they agree
//! with the states. It runs several times for each job, and so counts each state by itself: all else is a sum. Exact
//! under the lock of the [`Queue`](super::Queue).
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pool::admission_queue::ShareId;
use crate::pool::run_state::RunState;
use crate::sync::Condvar;

/// The slot of a thread. Slots are used again, and so are the thread names, which contain the slot's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerId(usize);

impl WorkerId {
    /// Its number in the pool, from 1.
    pub(crate) fn number(self) -> usize {
        self.0 + 1
    }
}

#[derive(Debug)]
pub(crate) struct ThreadTable<H> {
    slots: Vec<Slot<H>>,
    /// The threads in the state `Idle`; the thread that became idle most recently is last.
    idle: Vec<WorkerId>,
    counts: StateCounts,
}

/// How many slots are in each state.
#[derive(Debug, Clone, Copy, Default)]
struct StateCounts {
    vacant: usize,
    starting: usize,
    idle: usize,
    waking: usize,
    between_jobs: usize,
    busy: usize,
    leaving: usize,
    /// Busy threads whose job is slow.
    slow: usize,
    /// Busy threads whose job is long.
    long: usize,
}

/// How many threads are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadCounts {
    /// Threads, including threads that are being started.
    pub(crate) live: usize,
    /// Threads that were told to leave and have not left yet.
    pub(crate) leaving: usize,
    /// Waking threads.
    pub(crate) waking: usize,
    /// Waking threads, threads between two jobs, and threads with a job.
    pub(crate) active: usize,
    /// Threads with a job.
    pub(crate) busy: usize,
    /// Threads whose job was slow at the last classification.
    pub(crate) slow: usize,
    /// Threads whose job was long at the last classification.
    pub(crate) long: usize,
}

/// A place for one thread.
#[derive(Debug)]
struct Slot<H> {
    state: ThreadState<H>,
    /// The condition variable that this thread alone waits on.
    wakeup: Arc<Condvar>,
    /// How many jobs it has taken since it was last idle.
    streak: usize,
    /// Tells whether the thread is runnable.
    run_state: Option<Arc<RunState>>,
}

#[derive(Debug)]
pub(crate) enum ThreadState<H> {
    /// There is no thread in this slot.
    Vacant,
    /// The thread was started to become idle, and does not wait at its condition variable yet. It may take no job.
    Starting,
    /// The thread waits at its condition variable. It may take no job.
    Idle,
    /// The thread was woken or started to take a job, and has not taken one yet.
    Waking,
    /// The thread has given up a job, and has not taken the next.
    BetweenJobs,
    Busy(CurrentJob<H>),
    /// The thread was told to leave, and takes no job.
    Leaving,
}

/// The job that a thread runs.
#[derive(Debug)]
pub(crate) struct CurrentJob<H> {
    pub(crate) share: ShareId,
    pub(crate) since: Instant,
    /// The job has run for so long that it is unlikely to end soon.
    pub(crate) is_slow: bool,
    /// The job has run for so long that its thread no longer counts towards the concurrency limit.
    pub(crate) is_long: bool,
    /// Its client had disconnected when a thread took it.
    pub(crate) is_void: bool,
    /// What the pool may observe of the job, and do to it, while it runs.
    pub(crate) handle: H,
}

impl StateCounts {
    fn of<H>(&mut self, state: &ThreadState<H>) -> &mut usize {
        match state {
            ThreadState::Vacant => &mut self.vacant,
            ThreadState::Starting => &mut self.starting,
            ThreadState::Idle => &mut self.idle,
            ThreadState::Waking => &mut self.waking,
            ThreadState::BetweenJobs => &mut self.between_jobs,
            ThreadState::Busy(_) => &mut self.busy,
            ThreadState::Leaving => &mut self.leaving,
        }
    }

    fn add<H>(&mut self, state: &ThreadState<H>) {
        *self.of(state) += 1;
        if let ThreadState::Busy(work) = state {
            self.slow += usize::from(work.is_slow);
            self.long += usize::from(work.is_long);
        }
    }

    fn take_away<H>(&mut self, state: &ThreadState<H>) {
        *self.of(state) -= 1;
        if let ThreadState::Busy(work) = state {
            self.slow -= usize::from(work.is_slow);
            self.long -= usize::from(work.is_long);
        }
    }
}

impl ThreadCounts {
    /// Threads that were not told to leave.
    pub(crate) fn staying(&self) -> usize {
        self.live - self.leaving
    }
}

impl<H> ThreadTable<H> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), idle: Vec::new(), counts: StateCounts::default() }
    }

    pub(crate) fn counts(&self) -> ThreadCounts {
        let StateCounts { vacant: _, starting, idle, waking, between_jobs, busy, leaving, slow, long } = self.counts;
        let active = waking + between_jobs + busy;
        ThreadCounts { live: starting + idle + active + leaving, leaving, waking, active, busy, slow, long }
    }

    pub(crate) fn state(&self, WorkerId(at): WorkerId) -> &ThreadState<H> {
        &self.slots[at].state
    }

    /// Changes the state of a thread, and returns the state before.
    fn set(&mut self, id: WorkerId, state: ThreadState<H>) -> ThreadState<H> {
        let is_idle = matches!(state, ThreadState::Idle);
        self.counts.add(&state);
        let before = std::mem::replace(&mut self.slots[id.0].state, state);
        self.counts.take_away(&before);
        match (matches!(before, ThreadState::Idle), is_idle) {
            (false, true) => self.idle.push(id),
            // From the end, where `wake_latest` finds its thread.
            (true, false) => drop(self.idle.iter().rposition(|idle| *idle == id).map(|at| self.idle.remove(at))),
            (false, false) | (true, true) => {}
        }
        before
    }

    /// A slot for a thread that is about to be started: `Waking` if it is to take a job, else `Starting`. It counts
    /// from now on, so that a concurrent caller cannot exceed the maximum before the thread runs.
    pub(crate) fn join(&mut self, state: ThreadState<H>) -> WorkerId {
        // A condition variable for each thread, not for each slot: a notification that comes after the thread has left
        // must find no waiter.
        let slot = Slot { state: ThreadState::Vacant, wakeup: Arc::new(Condvar::new()), streak: 0, run_state: None };
        let vacant = self.slots.iter().position(|slot| matches!(slot.state, ThreadState::Vacant));
        let id = WorkerId(vacant.unwrap_or(self.slots.len()));
        match self.slots.get_mut(id.0) {
            Some(vacant) => *vacant = slot,
            None => {
                self.counts.vacant += 1;
                self.slots.push(slot);
            }
        }
        self.set(id, state);
        id
    }

    /// Tells a thread to leave. Under the lock of the decision, so that no push wakes a thread that will take no job,
    /// and no other thread leaves for the same surplus.
    pub(crate) fn dismiss(&mut self, id: WorkerId) {
        self.set(id, ThreadState::Leaving);
    }

    /// Frees the slot of a thread, whatever its state: its job may have panicked.
    pub(crate) fn leave(&mut self, id: WorkerId) {
        self.set(id, ThreadState::Vacant);
    }

    pub(crate) fn observe_with(&mut self, id: WorkerId, run_state: Arc<RunState>) {
        self.slots[id.0].run_state = Some(run_state);
    }

    /// A thread becomes idle. Returns its condition variable. The caller waits in the same critical section: a push
    /// between the two would notify a thread that does not wait yet.
    pub(crate) fn become_idle(&mut self, id: WorkerId) -> Arc<Condvar> {
        self.set(id, ThreadState::Idle);
        let slot = &mut self.slots[id.0];
        slot.streak = 0;
        Arc::clone(&slot.wakeup)
    }

    /// Chooses the thread that became idle most recently, to be notified by the caller. Its state changes here, under
    /// the lock: a thread whose wait ends before the notification, or spuriously, sees that it was chosen.
    pub(crate) fn wake_latest(&mut self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.last()?;
        self.set(id, ThreadState::Waking);
        Some((id, Arc::clone(&self.slots[id.0].wakeup)))
    }

    /// The thread that has been idle for the longest time. It stays idle.
    pub(crate) fn longest_idle(&self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.first()?;
        Some((id, Arc::clone(&self.slots[id.0].wakeup)))
    }

    /// A thread has taken a job.
    pub(crate) fn begin(&mut self, id: WorkerId, work: CurrentJob<H>) {
        self.set(id, ThreadState::Busy(work));
        self.slots[id.0].streak += 1;
    }

    /// A thread gives up its job, if it has one.
    pub(crate) fn end(&mut self, id: WorkerId) -> Option<CurrentJob<H>> {
        self.slots[id.0].work()?;
        let ThreadState::Busy(work) = self.set(id, ThreadState::BetweenJobs) else { return None };
        Some(work)
    }

    /// Whether a thread has taken more than one job since it was last idle.
    pub(crate) fn is_in_demand(&self, id: WorkerId) -> bool {
        self.slots[id.0].streak > 1
    }

    /// The condition variables of the idle threads.
    pub(crate) fn wakeups(&self) -> impl Iterator<Item = &Arc<Condvar>> {
        self.idle.iter().map(|id| &self.slots[id.0].wakeup)
    }

    /// The busy threads and their jobs.
    pub(crate) fn working(&self) -> impl Iterator<Item = (WorkerId, &CurrentJob<H>)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((WorkerId(at), slot.work()?)))
    }

    /// Marks the jobs that are slow, and long, at these ages.
    pub(crate) fn classify_jobs(&mut self, slow: Duration, long: Duration) {
        let now = Instant::now();
        (self.counts.slow, self.counts.long) = (0, 0);
        for slot in &mut self.slots {
            let ThreadState::Busy(work) = &mut slot.state else { continue };
            let age = now.saturating_duration_since(work.since);
            (work.is_slow, work.is_long) = (age >= slow, age >= long);
            self.counts.slow += usize::from(work.is_slow);
            self.counts.long += usize::from(work.is_long);
        }
    }

    /// The run states of the busy threads whose job is not long.
    pub(crate) fn run_states(&self) -> impl Iterator<Item = &Arc<RunState>> {
        let counted = self.slots.iter().filter(|slot| slot.work().is_some_and(|work| !work.is_long));
        counted.filter_map(|slot| slot.run_state.as_ref())
    }
}

impl<H> Slot<H> {
    fn work(&self) -> Option<&CurrentJob<H>> {
        match &self.state {
            ThreadState::Busy(work) => Some(work),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::admission_queue::DEFAULT_SHARE;

    /// The counts and the idle threads, counted from the states.
    fn recount(table: &ThreadTable<()>) -> (ThreadCounts, usize) {
        let mut counts = ThreadCounts::default();
        let mut idle = 0;
        for slot in &table.slots {
            counts.live += 1;
            match &slot.state {
                ThreadState::Vacant => counts.live -= 1,
                ThreadState::Starting => {}
                ThreadState::Idle => idle += 1,
                ThreadState::Waking => (counts.waking, counts.active) = (counts.waking + 1, counts.active + 1),
                ThreadState::BetweenJobs => counts.active += 1,
                ThreadState::Busy(work) => {
                    (counts.active, counts.busy) = (counts.active + 1, counts.busy + 1);
                    counts.slow += usize::from(work.is_slow);
                    counts.long += usize::from(work.is_long);
                }
                ThreadState::Leaving => counts.leaving += 1,
            }
        }
        (counts, idle)
    }

    /// Every transition, from every state.
    #[test]
    fn the_counts_agree_with_the_states() {
        let mut table = ThreadTable::new();
        let mut random = 1_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((random >> 33) % limit).unwrap()
        };
        for _ in 0..100_000 {
            let threads = table.slots.iter().enumerate();
            let threads = threads.filter(|(_, slot)| !matches!(slot.state, ThreadState::Vacant));
            let threads: Vec<_> = threads.map(|(at, _)| WorkerId(at)).collect();
            let is_slow = below(2) == 1;
            let work = CurrentJob {
                share: DEFAULT_SHARE,
                since: Instant::now(),
                is_slow,
                is_long: is_slow && below(2) == 1,
                is_void: false,
                handle: (),
            };
            match (below(10), threads.as_slice()) {
                (_, []) => _ = table.join(ThreadState::Waking),
                (0, threads) if threads.len() < 4 => _ = table.join(ThreadState::Waking),
                (1, threads) if threads.len() < 4 => _ = table.join(ThreadState::Starting),
                (2, _) => drop(table.wake_latest()),
                (3, _) => table.classify_jobs(Duration::ZERO, Duration::MAX),
                (action, threads) => {
                    let id = threads[below(threads.len() as u64)];
                    match action {
                        4 | 5 => drop(table.become_idle(id)),
                        6 => table.begin(id, work),
                        7 => drop(table.end(id)),
                        8 => table.dismiss(id),
                        _ => table.leave(id),
                    }
                }
            }
            let (counts, idle) = recount(&table);
            assert_eq!((table.counts(), table.idle.len()), (counts, idle));
            assert!(table.idle.iter().all(|id| matches!(table.state(*id), ThreadState::Idle)));
        }
    }
}
