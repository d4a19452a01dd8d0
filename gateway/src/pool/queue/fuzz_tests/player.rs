//! The threads of a pool, stepped one by one: what `Queue::next` and `Threads` do, without the waits.
//!
//! Threads: the caller's.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};

use crate::pool::admission_queue::{DEFAULT_SHARE, ShareId, ShareLimits};
use crate::pool::concurrency_limit::ConcurrencyLimit;
use crate::pool::queue::state::{Action, Limits, Pushed};
use crate::pool::queue::{Queue, QueueItem};
use crate::pool::thread_table::{ThreadState, WorkerId};
use crate::sync::{Condvar, lock};

/// What became of the jobs, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// Whether the client has left.
    pub(super) has_left: Vec<bool>,
    pub(super) ran: Vec<u32>,
    pub(super) dropped: Vec<bool>,
    /// The queue has taken them, or a driver.
    pub(super) admitted: Vec<bool>,
    /// No thread could be had for them.
    pub(super) orphaned: Vec<bool>,
}

/// A job; it counts its end.
#[derive(Debug)]
pub(super) struct Numbered {
    number: usize,
    pub(super) fates: Rc<RefCell<Fates>>,
}

impl Drop for Numbered {
    fn drop(&mut self) {
        let dropped = &mut self.fates.borrow_mut().dropped[self.number];
        assert!(!std::mem::replace(dropped, true), "job {} ended twice", self.number);
    }
}

impl QueueItem for Numbered {
    type Handle = usize;

    fn handle(&self) -> usize {
        self.number
    }

    fn is_obsolete(&self) -> bool {
        self.fates.borrow().has_left[self.number]
    }

    fn delay(_: &usize) {}

    fn ran(_: &usize, _: Duration) {}
}

/// Where a thread is.
#[derive(Debug)]
pub(super) enum Place {
    /// It was started, and has not looked for a job yet.
    Started,
    /// It runs this job.
    Runs(Numbered),
    /// It waits at this condition variable.
    Waits {
        wakeup: Arc<Condvar>,
        is_notified: bool,
        has_timer: bool,
    },
    Drives,
    /// It drives, and runs this job where it was read.
    DrivesAndRuns(Numbered),
    /// It was told to leave, and has not left yet.
    Leaves,
}

pub(super) struct Pool {
    pub(super) queue: Queue<Numbered>,
    pub(super) threads: Vec<(WorkerId, Place)>,
    pub(super) shares: Vec<(ShareId, ShareLimits)>,
    pub(super) fates: Rc<RefCell<Fates>>,
    pub(super) max: usize,
    pub(super) is_closed: bool,
    /// The system refuses threads.
    pub(super) refuses: bool,
    /// It has refused one in this history.
    pub(super) has_refused: bool,
}

impl Pool {
    pub(super) fn new(input: &mut Unstructured<'_>) -> Result<Self> {
        let max = input.int_in_range(1..=4)?;
        let limits = Limits {
            min: 0,
            max,
            queue_limit: input.int_in_range(0..=6)?,
            queue_timeout: Duration::from_secs(3),
            parallelism: input.int_in_range(1..=3)?,
            is_contended: input.arbitrary()?,
            idle_timeout: input.arbitrary::<bool>()?.then_some(Duration::from_secs(3)),
            report_only: false,
        };
        Ok(Self {
            queue: Queue::new(limits),
            threads: Vec::new(),
            shares: vec![(DEFAULT_SHARE, ShareLimits::default())],
            fates: Rc::default(),
            max,
            is_closed: false,
            refuses: false,
            has_refused: false,
        })
    }

    pub(super) fn orphan(&self, orphans: Vec<Numbered>) {
        for job in orphans {
            assert!(self.has_refused, "job {} has no thread, and none was refused", job.number);
            self.fates.borrow_mut().orphaned[job.number] = true;
        }
    }

    /// What [`Threads::perform`](crate::pool::threads::Threads::perform) does.
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::None => {}
            Action::Notify(wakeup) => self.notify(&wakeup),
            Action::Spawn(id) if self.refuses => {
                self.has_refused = true;
                let (orphans, action) = self.queue.refused(id);
                self.orphan(orphans);
                self.perform(action);
            }
            Action::Spawn(id) => self.threads.push((id, Place::Started)),
        }
    }

    pub(super) fn notify(&mut self, wakeup: &Arc<Condvar>) {
        for (_, place) in &mut self.threads {
            if let Place::Waits { wakeup: own, is_notified, .. } = place {
                *is_notified |= Arc::ptr_eq(own, wakeup);
            }
        }
    }

    /// Code under the lock notifies at once: the threads that it has chosen are found by their state.
    pub(super) fn notify_chosen(&mut self) {
        let state = lock(&self.queue.state);
        for (id, place) in &mut self.threads {
            if let Place::Waits { is_notified, .. } = place {
                *is_notified |= !matches!(state.threads.state(*id), ThreadState::Idle | ThreadState::Starting);
            }
        }
    }

    pub(super) fn push(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (share, limits) = self.shares[input.choose_index(self.shares.len())?];
        let drivers: Vec<_> = self.threads.iter().filter(|(_, place)| matches!(place, Place::Drives)).collect();
        let driver = match drivers.is_empty() {
            false if input.arbitrary()? => Some(drivers[input.choose_index(drivers.len())?].0),
            _ => None,
        };
        let number = {
            let fates = &mut *self.fates.borrow_mut();
            fates.has_left.push(false);
            fates.ran.push(0);
            fates.dropped.push(false);
            fates.admitted.push(false);
            fates.orphaned.push(false);
            fates.ran.len() - 1
        };
        let in_flight = self.in_flight(share);
        let job = Numbered { number, fates: Rc::clone(&self.fates) };
        match self.queue.push(share, job, driver) {
            Ok(Pushed::Queued(_, action)) => {
                self.fates.borrow_mut().admitted[number] = true;
                assert!(!self.is_closed, "a closed queue admits nothing");
                // POOL-20: obsolete jobs may have made room.
                assert!(self.in_flight(share) <= limits.max_in_flight, "a cap");
                self.perform(action);
            }
            Ok(Pushed::Here(job)) => {
                self.fates.borrow_mut().admitted[number] = true;
                let driver = driver.expect("there is a driver");
                self.set(driver, Place::DrivesAndRuns(job));
            }
            Err(job) => {
                // POOL-20: a reservation is never refused.
                let is_certain = in_flight < limits.reserved.min(limits.max_in_flight) && !self.refuses;
                assert!(!is_certain || self.is_closed || !self.may_spawn(), "job {} of {share:?}", job.number);
            }
        }
        Ok(())
    }

    pub(super) fn may_spawn(&self) -> bool {
        lock(&self.queue.state).takes_jobs()
    }

    /// The jobs of a share that are queued or run.
    pub(super) fn in_flight(&self, share: ShareId) -> usize {
        let state = lock(&self.queue.state);
        let running = state.threads.working().filter(|(_, work)| work.share == share).count();
        running + state.queue.waiting_in(share)
    }

    pub(super) fn set(&mut self, id: WorkerId, place: Place) {
        for (known, old) in &mut self.threads {
            if *known == id {
                *old = place;
                return;
            }
        }
    }

    /// One step of a thread, up to its next wait or job: what `Queue::next` does, without the waits.
    pub(super) fn step(&mut self, at: usize) {
        let (id, place) = &mut self.threads[at];
        let id = *id;
        match std::mem::replace(place, Place::Started) {
            Place::Leaves => {
                self.threads.swap_remove(at);
                let (orphans, action) = self.queue.leave(id);
                self.orphan(orphans);
                self.perform(action);
                return;
            }
            Place::Drives => {
                *place = Place::Drives;
                return;
            }
            Place::DrivesAndRuns(job) => {
                *place = Place::Drives;
                self.fates.borrow_mut().ran[job.number] += 1;
                let ended = self.queue.end_here(id);
                if !ended.still_drives {
                    *place = Place::Started;
                }
                self.orphan(ended.orphans);
                self.perform(ended.action);
                return;
            }
            Place::Runs(job) => {
                self.fates.borrow_mut().ran[job.number] += 1;
                drop(job);
                lock(&self.queue.state).end(id, Instant::now());
            }
            Place::Started | Place::Waits { .. } => {}
        }
        let mut state = lock(&self.queue.state);
        if matches!(state.threads.state(id), ThreadState::Driving) {
            drop(state);
            self.threads[at].1 = Place::Drives;
        } else if let Some(action) = state.becomes_driver(id) {
            drop(state);
            self.threads[at].1 = Place::Drives;
            self.perform(action);
        } else if let Some((job, action)) = state.take(id, Instant::now()) {
            drop(state);
            self.threads[at].1 = Place::Runs(job);
            self.perform(action);
        } else if state.is_to_leave() {
            state.threads.dismiss(id);
            drop(state);
            self.threads[at].1 = Place::Leaves;
        } else {
            let wakeup = state.become_idle(id);
            let has_timer = state.watcher == Some(id);
            drop(state);
            self.threads[at].1 = Place::Waits { wakeup, is_notified: false, has_timer };
        }
    }

    /// The timer of the watcher passes: what `Queue::wait` does then.
    pub(super) fn time_out(&mut self, at: usize, runnable: Option<usize>) {
        let id = self.threads[at].0;
        let mut state = lock(&self.queue.state);
        if state.watcher == Some(id) {
            state.watcher = None;
            if state.queue.is_ready() {
                state.classify_jobs();
                let counts = state.threads.counts();
                state.concurrency.sample(counts, runnable);
                let action = state.wake_if(ConcurrencyLimit::allows_another);
                drop(state);
                self.perform(action);
                self.step(at);
                return;
            }
        }
        drop(state);
        self.step(at);
    }

    /// Threads that can go on by themselves.
    pub(super) fn can_step(place: &Place) -> bool {
        !matches!(place, Place::Waits { is_notified: false, .. } | Place::Drives)
    }

    pub(super) fn hold(&mut self) {
        let drivers: Vec<WorkerId> = self.threads.iter().map(|(id, _)| *id).collect();
        let (held, action) = self.queue.hold(&drivers, Duration::ZERO);
        for id in held {
            for (known, place) in &mut self.threads {
                if *known == id
                    && let Place::DrivesAndRuns(job) = std::mem::replace(place, Place::Started)
                {
                    // From now on it is a worker with this job.
                    *place = Place::Runs(job);
                }
            }
        }
        self.perform(action);
    }

    pub(super) fn give_back(&mut self, at: usize) {
        let id = self.threads[at].0;
        if let Place::DrivesAndRuns(job) = std::mem::replace(&mut self.threads[at].1, Place::Drives) {
            let (orphans, action) = self.queue.give_back(id, job);
            self.orphan(orphans);
            self.perform(action);
        }
    }
}
