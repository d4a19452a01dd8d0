//! The threads of a pool: who is there, who works at what, who sleeps.
//!
//! Exact under the lock of the [`Queue`](super::Queue).
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pool::admission_queue::ShareId;
use crate::pool::run_state::RunState;
use crate::sync::Condvar;

/// A thread's place in its pool. Places are used again, and so are the names of threads, which go by them.
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
    slots: Vec<Option<Slot<H>>>,
    /// Those who sleep; whoever has slept for the shortest time is last.
    idle: Vec<WorkerId>,
    /// How many there are, those included that are being started.
    live: usize,
    /// How many of them have been told to leave, and have not left.
    leaving: usize,
    /// How many are at work.
    busy: usize,
}

/// One thread.
#[derive(Debug)]
pub(crate) struct Slot<H> {
    /// Where it sleeps.
    pub(crate) wakeup: Arc<Condvar>,
    pub(crate) state: ThreadState,
    /// It is among the idle.
    is_listed: bool,
    is_leaving: bool,
    /// How many jobs it has had since it slept.
    streak: usize,
    work: Option<Work<H>>,
    /// Tells whether it wants a processor.
    run_state: Option<Arc<RunState>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// It waits to be called.
    Idle,
    /// It was called, or started, to take a job.
    Waking,
    Running,
}

/// What a thread is at.
#[derive(Debug)]
pub(crate) struct Work<H> {
    pub(crate) share: ShareId,
    pub(crate) since: Instant,
    /// It has taken so long that it is not likely to be done soon.
    pub(crate) is_slow: bool,
    /// It has taken so much longer than jobs do that its thread no longer counts.
    pub(crate) is_long: bool,
    /// Nobody waited for it when it was taken.
    pub(crate) is_void: bool,
    /// What the pool may know of the job, and do to it, while it runs.
    pub(crate) handle: H,
}

impl<H> ThreadTable<H> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), idle: Vec::new(), live: 0, leaving: 0, busy: 0 }
    }

    /// A place for a thread that is about to be started.
    pub(crate) fn join(&mut self, state: ThreadState) -> WorkerId {
        let slot = Slot {
            wakeup: Arc::new(Condvar::new()),
            state,
            is_listed: false,
            is_leaving: false,
            streak: 0,
            work: None,
            run_state: None,
        };
        self.live += 1;
        match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(slot);
                WorkerId(free)
            }
            None => {
                self.slots.push(Some(slot));
                WorkerId(self.slots.len() - 1)
            }
        }
    }

    /// Tells a thread to leave. Nobody counts on it any more, or calls it.
    pub(crate) fn dismiss(&mut self, id: WorkerId) {
        let Some(slot) = self.slot(id) else { return };
        slot.is_listed = false;
        if !std::mem::replace(&mut slot.is_leaving, true) {
            self.leaving += 1;
        }
        self.idle.retain(|idle| *idle != id);
    }

    /// Takes a thread out.
    pub(crate) fn leave(&mut self, id: WorkerId) -> Option<Slot<H>> {
        let slot = self.slots.get_mut(id.0)?.take()?;
        self.live -= 1;
        self.leaving -= usize::from(slot.is_leaving);
        self.idle.retain(|idle| *idle != id);
        Some(slot)
    }

    pub(crate) fn slot(&mut self, id: WorkerId) -> Option<&mut Slot<H>> {
        self.slots.get_mut(id.0)?.as_mut()
    }

    pub(crate) fn observe_with(&mut self, id: WorkerId, run_state: Arc<RunState>) {
        if let Some(slot) = self.slot(id) {
            slot.run_state = Some(run_state);
        }
    }

    /// A thread goes to sleep.
    pub(crate) fn falls_asleep(&mut self, id: WorkerId) {
        let Some(slot) = self.slot(id) else { return };
        slot.state = ThreadState::Idle;
        slot.streak = 0;
        if !std::mem::replace(&mut slot.is_listed, true) {
            self.idle.push(id);
        }
    }

    /// Calls whoever has slept for the shortest time.
    pub(crate) fn call(&mut self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = self.idle.pop()?;
        let slot = self.slot(id)?;
        slot.state = ThreadState::Waking;
        slot.is_listed = false;
        Some((id, Arc::clone(&slot.wakeup)))
    }

    /// Whoever has slept for the longest time, and stays asleep.
    pub(crate) fn longest_asleep(&mut self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.first()?;
        let slot = self.slot(id)?;
        Some((id, Arc::clone(&slot.wakeup)))
    }

    /// A thread sets to work.
    pub(crate) fn begin(&mut self, id: WorkerId, work: Work<H>) {
        if let Some(slot) = self.slot(id) {
            slot.work = Some(work);
            slot.streak += 1;
            self.busy += 1;
        }
    }

    /// A thread is done with what it was at.
    pub(crate) fn end(&mut self, id: WorkerId) -> Option<Work<H>> {
        let work = self.slot(id)?.work.take()?;
        self.busy -= 1;
        Some(work)
    }

    /// Whether a thread has found more than one job since it slept.
    pub(crate) fn is_in_demand(&mut self, id: WorkerId) -> bool {
        self.slot(id).is_some_and(|slot| slot.streak > 1)
    }

    /// How many threads there are.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many there are that have not been told to leave.
    pub(crate) fn staying(&self) -> usize {
        self.live - self.leaving
    }

    /// How many are at work.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    /// Where those sleep who do.
    pub(crate) fn wakeups(&self) -> impl Iterator<Item = &Arc<Condvar>> {
        self.idle.iter().filter_map(|id| Some(&self.slots.get(id.0)?.as_ref()?.wakeup))
    }

    /// Those who are at work, and what they are at.
    pub(crate) fn working(&self) -> impl Iterator<Item = (WorkerId, &Work<H>)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((WorkerId(at), slot.as_ref()?.work.as_ref()?)))
    }

    /// Takes note of those whose work has become slow, and long, at these ages. Says how many they are.
    pub(crate) fn classify_jobs(&mut self, slow: Duration, long: Duration) -> (usize, usize) {
        let now = Instant::now();
        let works = self.slots.iter_mut().flatten().filter_map(|slot| slot.work.as_mut());
        works.fold((0, 0), |(slow_ones, long_ones), work| {
            let age = now.saturating_duration_since(work.since);
            (work.is_slow, work.is_long) = (age >= slow, age >= long);
            (slow_ones + usize::from(work.is_slow), long_ones + usize::from(work.is_long))
        })
    }

    /// The run states of those who are at work, and not for long.
    pub(crate) fn run_states(&self) -> impl Iterator<Item = &Arc<RunState>> {
        let counts = |slot: &&Slot<H>| slot.work.as_ref().is_some_and(|work| !work.is_long);
        self.slots.iter().flatten().filter(counts).filter_map(|slot| slot.run_state.as_ref())
    }
}
