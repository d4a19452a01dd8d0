//! The thread table of a pool: one slot for each thread, with its state and its job.
//!
//! Exact under the lock of the [`Queue`](super::Queue).
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
    slots: Vec<Option<Slot<H>>>,
    /// The idle threads; the thread that became idle most recently is last.
    idle: Vec<WorkerId>,
    /// How many threads there are, including threads that are being started.
    live: usize,
    /// How many of the live threads are dismissed and have not left yet.
    leaving: usize,
    /// How many threads have a job.
    busy: usize,
}

/// One thread.
#[derive(Debug)]
pub(crate) struct Slot<H> {
    /// The condition variable that this thread alone waits on.
    pub(crate) wakeup: Arc<Condvar>,
    pub(crate) state: ThreadState,
    /// The thread is in `idle`.
    is_listed: bool,
    is_leaving: bool,
    /// How many jobs it has taken since it was last idle.
    streak: usize,
    work: Option<Work<H>>,
    /// Tells whether the thread is runnable.
    run_state: Option<Arc<RunState>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// It waits at its condition variable, or was started to do so. It may take no job.
    Idle,
    /// It was woken or started to take a job, and has not taken one yet.
    Waking,
    Running,
}

/// The job that a thread runs.
#[derive(Debug)]
pub(crate) struct Work<H> {
    pub(crate) share: ShareId,
    pub(crate) since: Instant,
    /// It has run for so long that it is unlikely to end soon.
    pub(crate) is_slow: bool,
    /// It has run for so long that its thread no longer counts towards the concurrency limit.
    pub(crate) is_long: bool,
    /// Its client had left when a thread took it.
    pub(crate) is_void: bool,
    /// What the pool may observe of the job, and do to it, while it runs.
    pub(crate) handle: H,
}

impl<H> ThreadTable<H> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), idle: Vec::new(), live: 0, leaving: 0, busy: 0 }
    }

    /// A slot for a thread that is about to be started. It counts from now on, so that a concurrent caller cannot
    /// exceed the maximum before the thread runs.
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

    /// Marks a thread that is about to leave. It is taken off `idle` under the lock of the decision, so that no push
    /// wakes a thread that will take no job; and off `staying`, so that no other thread leaves for the same surplus.
    pub(crate) fn dismiss(&mut self, id: WorkerId) {
        let Some(slot) = self.slot(id) else { return };
        slot.is_listed = false;
        if !std::mem::replace(&mut slot.is_leaving, true) {
            self.leaving += 1;
        }
        self.idle.retain(|idle| *idle != id);
    }

    /// Frees the slot of a thread. A late notification finds no waiter: the next thread of the slot has its own
    /// condition variable.
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

    /// A thread becomes idle. The caller waits in the same critical section, so that no notification is lost.
    pub(crate) fn falls_asleep(&mut self, id: WorkerId) {
        let Some(slot) = self.slot(id) else { return };
        slot.state = ThreadState::Idle;
        slot.streak = 0;
        if !std::mem::replace(&mut slot.is_listed, true) {
            self.idle.push(id);
        }
    }

    /// Chooses the thread that became idle most recently, to be notified by the caller. Its state changes here, under
    /// the lock: a thread whose wait ends before the notification, or spuriously, sees that it was chosen.
    pub(crate) fn call(&mut self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = self.idle.pop()?;
        let slot = self.slot(id)?;
        slot.state = ThreadState::Waking;
        slot.is_listed = false;
        Some((id, Arc::clone(&slot.wakeup)))
    }

    /// The thread that has been idle for the longest time. It stays idle.
    pub(crate) fn longest_asleep(&mut self) -> Option<(WorkerId, Arc<Condvar>)> {
        let id = *self.idle.first()?;
        let slot = self.slot(id)?;
        Some((id, Arc::clone(&slot.wakeup)))
    }

    /// A thread has taken a job.
    pub(crate) fn begin(&mut self, id: WorkerId, work: Work<H>) {
        if let Some(slot) = self.slot(id) {
            slot.work = Some(work);
            slot.streak += 1;
            self.busy += 1;
        }
    }

    /// A thread gives up its job.
    pub(crate) fn end(&mut self, id: WorkerId) -> Option<Work<H>> {
        let work = self.slot(id)?.work.take()?;
        self.busy -= 1;
        Some(work)
    }

    /// Whether a thread has taken more than one job since it was last idle.
    pub(crate) fn is_in_demand(&mut self, id: WorkerId) -> bool {
        self.slot(id).is_some_and(|slot| slot.streak > 1)
    }

    /// How many threads there are.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many threads are not dismissed.
    pub(crate) fn staying(&self) -> usize {
        self.live - self.leaving
    }

    /// How many threads have a job.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    /// The condition variables of the idle threads.
    pub(crate) fn wakeups(&self) -> impl Iterator<Item = &Arc<Condvar>> {
        self.idle.iter().filter_map(|id| Some(&self.slots.get(id.0)?.as_ref()?.wakeup))
    }

    /// The busy threads and their jobs.
    pub(crate) fn working(&self) -> impl Iterator<Item = (WorkerId, &Work<H>)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((WorkerId(at), slot.as_ref()?.work.as_ref()?)))
    }

    /// Marks the jobs that are slow, and long, at these ages. Returns how many are slow and how many are long.
    pub(crate) fn classify_jobs(&mut self, slow: Duration, long: Duration) -> (usize, usize) {
        let now = Instant::now();
        let works = self.slots.iter_mut().flatten().filter_map(|slot| slot.work.as_mut());
        works.fold((0, 0), |(slow_ones, long_ones), work| {
            let age = now.saturating_duration_since(work.since);
            (work.is_slow, work.is_long) = (age >= slow, age >= long);
            (slow_ones + usize::from(work.is_slow), long_ones + usize::from(work.is_long))
        })
    }

    /// The run states of the busy threads whose job is not long.
    pub(crate) fn run_states(&self) -> impl Iterator<Item = &Arc<RunState>> {
        let counts = |slot: &&Slot<H>| slot.work.as_ref().is_some_and(|work| !work.is_long);
        self.slots.iter().flatten().filter(counts).filter_map(|slot| slot.run_state.as_ref())
    }
}
