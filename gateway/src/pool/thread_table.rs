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
use crate::pool::thread_counts::StateCounts;
pub(crate) use crate::pool::thread_counts::ThreadCounts;
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
    /// The thread drives connections. It counts towards no limit of the workers.
    Driving,
    /// A driver runs a short job where it was read.
    DrivingBusy(CurrentJob<H>),
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
    /// It has held a driver, and its mount was charged for that.
    pub(crate) has_held: bool,
    /// What the pool may observe of the job, and do to it, while it runs.
    pub(crate) handle: H,
}

impl<H> ThreadTable<H> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), idle: Vec::new(), counts: StateCounts::default() }
    }

    pub(crate) fn counts(&self) -> ThreadCounts {
        self.counts.sums()
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
            // From the end, where `choose_latest` finds its thread.
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
                self.counts.add_vacant();
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

    /// Chooses the thread that became idle most recently, for a job or to drive, to be notified by the caller. Its
    /// state changes here, under the lock: a thread whose wait ends before the notification, or spuriously, sees that
    /// it was chosen.
    pub(crate) fn choose_latest(&mut self, becomes: ThreadState<H>) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.last()?;
        self.set(id, becomes);
        Some((id, Arc::clone(&self.slots[id.0].wakeup)))
    }

    /// The thread that has been idle for the longest time. It stays idle.
    pub(crate) fn longest_idle(&self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.first()?;
        Some((id, Arc::clone(&self.slots[id.0].wakeup)))
    }

    /// Whether a thread other than this one is idle.
    pub(crate) fn is_idle_beside(&self, id: WorkerId) -> bool {
        self.idle.iter().any(|idle| *idle != id)
    }

    /// A thread has taken a job.
    pub(crate) fn begin(&mut self, id: WorkerId, work: CurrentJob<H>) {
        self.set(id, ThreadState::Busy(work));
        self.slots[id.0].streak += 1;
    }

    /// A driver has taken a job.
    pub(crate) fn begin_driving(&mut self, id: WorkerId, work: CurrentJob<H>) {
        self.set(id, ThreadState::DrivingBusy(work));
    }

    /// The drivers among these whose jobs run for this long become workers. Calls `charge` with each job.
    pub(crate) fn hold(
        &mut self,
        drivers: &[WorkerId],
        longest: Duration,
        charge: impl Fn(&H, Duration),
    ) -> Vec<WorkerId> {
        let now = Instant::now();
        let mut held = Vec::new();
        for &id in drivers {
            let ThreadState::DrivingBusy(work) = &mut self.slots[id.0].state else { continue };
            let age = now.saturating_duration_since(work.since);
            if age < longest {
                continue;
            }
            charge(&work.handle, age);
            work.has_held = true;
            // The state in between lasts for no time.
            if let ThreadState::DrivingBusy(work) = self.set(id, ThreadState::Starting) {
                self.set(id, ThreadState::Busy(work));
            }
            held.push(id);
        }
        held
    }

    /// A worker without a job becomes a driver.
    pub(crate) fn promote(&mut self, id: WorkerId) {
        self.set(id, ThreadState::Driving);
    }

    /// A thread gives up its job, if it has one. A driver goes on as one.
    pub(crate) fn end(&mut self, id: WorkerId) -> Option<CurrentJob<H>> {
        let after = match &self.slots[id.0].state {
            ThreadState::Busy(_) => ThreadState::BetweenJobs,
            ThreadState::DrivingBusy(_) => ThreadState::Driving,
            _ => return None,
        };
        match self.set(id, after) {
            ThreadState::Busy(work) | ThreadState::DrivingBusy(work) => Some(work),
            _ => None,
        }
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
        self.counts.forget_ages();
        for slot in &mut self.slots {
            let ThreadState::Busy(work) = &mut slot.state else { continue };
            let age = now.saturating_duration_since(work.since);
            (work.is_slow, work.is_long) = (age >= slow, age >= long);
            self.counts.add_ages(work);
        }
    }

    /// The run states of the busy threads whose job is not long.
    pub(crate) fn run_states(&self) -> impl Iterator<Item = &Arc<RunState>> {
        let counted = self.slots.iter().filter(|slot| slot.work().is_some_and(|work| !work.is_long));
        counted.filter(|slot| matches!(slot.state, ThreadState::Busy(_))).filter_map(|slot| slot.run_state.as_ref())
    }
}

impl<H> CurrentJob<H> {
    pub(crate) fn new(share: ShareId, since: Instant, handle: H) -> Self {
        Self { share, since, is_slow: false, is_long: false, is_void: false, has_held: false, handle }
    }
}

impl<H> Slot<H> {
    fn work(&self) -> Option<&CurrentJob<H>> {
        match &self.state {
            ThreadState::Busy(work) | ThreadState::DrivingBusy(work) => Some(work),
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
                ThreadState::Driving => counts.live -= 1,
                ThreadState::DrivingBusy(_) => {
                    (counts.live, counts.driving_busy) = (counts.live - 1, counts.driving_busy + 1);
                }
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
            let is_long = is_slow && below(2) == 1;
            let work = CurrentJob { is_slow, is_long, ..CurrentJob::new(DEFAULT_SHARE, Instant::now(), ()) };
            match (below(15), threads.as_slice()) {
                (_, []) => _ = table.join(ThreadState::Waking),
                (0, threads) if threads.len() < 4 => _ = table.join(ThreadState::Waking),
                (1, threads) if threads.len() < 4 => _ = table.join(ThreadState::Starting),
                (2, _) => drop(table.choose_latest(ThreadState::Waking)),
                (3, _) => table.classify_jobs(Duration::ZERO, Duration::MAX),
                (13, _) => drop(table.choose_latest(ThreadState::Driving)),
                (10, _) => drop(table.hold(&threads, Duration::ZERO, |(), _| ())),
                (11, threads) if threads.len() < 4 => _ = table.join(ThreadState::Driving),
                (action, threads) => {
                    let id = threads[below(threads.len() as u64)];
                    match action {
                        4 | 5 => drop(table.become_idle(id)),
                        6 => table.begin(id, work),
                        7 => drop(table.end(id)),
                        8 => table.dismiss(id),
                        12 => table.begin_driving(id, work),
                        14 => table.promote(id),
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
