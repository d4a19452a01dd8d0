//! What the queue knows, and what it decides.
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::pool::admission_queue::{AdmissionQueue, ShareId};
use crate::pool::concurrency_limit::ConcurrencyLimit;
use crate::pool::queue::Item;
use crate::pool::thread_table::{ThreadState, ThreadTable, Work, WorkerId};
use crate::sync::{Condvar, Countdown};

/// How large a pool may be.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Threads that stay.
    pub(crate) min: usize,
    pub(crate) max: usize,
    /// How many jobs may wait while all threads are busy.
    pub(crate) places: usize,
    /// How many threads can run at the same time.
    pub(crate) parallelism: usize,
    /// Somebody has said so, as they share something that more of them would wait for.
    pub(crate) shares: bool,
    /// After what time an idle thread ends that need not stay.
    pub(crate) idle_timeout: Option<Duration>,
    /// Let in what there is no room for, and count it.
    pub(crate) report_only: bool,
}

/// Everything below is exact under the lock.
pub(super) struct State<T: Item> {
    pub(super) queue: AdmissionQueue<T>,
    pub(super) threads: ThreadTable<T::Handle>,
    pub(super) concurrency: ConcurrencyLimit,
    pub(super) limits: Limits,
    /// The one thread, asleep, that has a look once in a while.
    pub(super) watcher: Option<WorkerId>,
    /// Runs since the last look.
    pub(super) until_sample: Option<Countdown>,
    /// The system has refused a thread, and is not asked for another before this.
    pub(super) spawns_again: Option<Instant>,
    pub(super) closed: bool,
    /// Who waits for the last thread to leave.
    pub(super) waiting_for_end: Vec<Waker>,
    /// How many more find no room before the line is asked again who still waits.
    pub(super) unasked: usize,
    pub(super) completed: u64,
    pub(super) would_have_shed: u64,
}

/// How many jobs may be asked, for each that finds no room, whether anybody waits for them.
const ASKED_AT_ONCE: usize = 16;

/// What the caller has to do about another thread.
#[derive(Debug)]
#[must_use]
pub(crate) enum Action {
    None,
    /// Ring its wakeup, outside the lock.
    Notify(Arc<Condvar>),
    /// Start it. It is counted already; say [`Queue::leave`] if it cannot be started.
    Spawn(WorkerId),
}

/// Whether a job that was let in has a thread for itself, or has to wait until one is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    AtOnce,
    InLine,
}

impl<T: Item> State<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            queue: AdmissionQueue::new(limits.max, limits.places),
            threads: ThreadTable::new(),
            concurrency: ConcurrencyLimit::new(limits.max, limits.parallelism, limits.shares),
            limits,
            watcher: None,
            until_sample: None,
            spawns_again: None,
            closed: false,
            waiting_for_end: Vec::new(),
            unasked: 0,
            completed: 0,
            would_have_shed: 0,
        }
    }

    /// If there is no room, takes those out of line that nobody waits for any more.
    ///
    /// It takes time to ask them all, under the lock. When that was in vain, a few more come, for a long line many,
    /// before they are asked again.
    pub(super) fn make_room(&mut self, share: ShareId) -> Vec<T> {
        if self.queue.has_room(share) {
            self.unasked = 0;
            return Vec::new();
        }
        if let Some(less) = self.unasked.checked_sub(1) {
            self.unasked = less;
            return Vec::new();
        }
        let obsolete = self.queue.take_out(T::is_obsolete);
        if obsolete.is_empty() {
            self.unasked = self.queue.queued() / ASKED_AT_ONCE;
        }
        obsolete
    }

    /// Those in line, when some of them may have been let in for threads that are not to be had any more.
    pub(super) fn delayed(&self) -> Vec<T::Handle> {
        self.queue.waiting().map(Item::handle).collect()
    }

    /// Whether there is, or may be, anybody to run another job.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.closed && (self.threads.live() > 0 || self.may_spawn())
    }

    /// Lets a job in, or gives it back.
    pub(super) fn admit(&mut self, share: ShareId, job: T) -> Result<(Entry, Action), T> {
        if !self.takes_jobs() {
            return Err(job);
        }
        if !self.queue.has_room(share) {
            if !self.limits.report_only {
                return Err(job);
            }
            self.would_have_shed += 1;
        }
        self.queue.push(share, job);
        let threads = if self.may_spawn() { self.limits.max } else { self.threads.live() };
        let threads = threads.min(self.concurrency.allowed());
        let is_certain = self.queue.queued() + self.threads.busy() <= threads && self.queue.has_thread(share);
        let entry = if is_certain { Entry::AtOnce } else { Entry::InLine };
        Ok((entry, self.call()))
    }

    /// The next job for a thread that is awake.
    pub(super) fn take(&mut self, id: WorkerId, now: Instant) -> Option<(T, Action)> {
        let slot = self.threads.slot(id)?;
        if slot.state == ThreadState::Idle {
            if !self.closed {
                return None;
            }
            // Whoever is there helps to end.
            slot.state = ThreadState::Waking;
            self.concurrency.woken();
        }
        if !(self.closed || self.concurrency.may_go_on()) || self.threads.staying() > self.limits.max {
            return None;
        }
        let Some((share, job)) = self.queue.pop() else {
            if self.queue.queued() == 0 {
                self.concurrency.drained();
            }
            return None;
        };
        self.awake(id);
        // One whose client has gone is over before it has begun, and says nothing of how long jobs take.
        let is_void = job.is_obsolete();
        self.threads
            .begin(id, Work { share, since: now, is_slow: false, is_long: false, is_void, handle: job.handle() });
        let call = self.call();
        Some((job, call))
    }

    /// A thread that was on its way is there.
    fn awake(&mut self, id: WorkerId) {
        if let Some(slot) = self.threads.slot(id)
            && slot.state == ThreadState::Waking
        {
            slot.state = ThreadState::Running;
            self.concurrency.arrived();
        }
    }

    /// Counts the job that a thread is done with.
    pub(super) fn end(&mut self, id: WorkerId, now: Instant) -> Option<T::Handle> {
        let work = self.threads.end(id)?;
        self.queue.finished(work.share);
        if work.is_long {
            self.concurrency.long_ended();
        }
        if work.is_slow {
            self.concurrency.slow_ended();
        }
        if !work.is_void {
            self.concurrency.served(now.saturating_duration_since(work.since));
            self.completed += 1;
        }
        Some(work.handle)
    }

    /// Whether a thread that has found nothing to do is likely to be called again at once: it has had more than one job
    /// since it slept, or many others are at jobs that block, and soon through with them.
    pub(super) fn is_in_demand(&mut self, id: WorkerId) -> bool {
        self.threads.is_in_demand(id) || self.threads.busy() > self.limits.parallelism && self.concurrency.jobs_block()
    }

    /// Puts a thread to sleep, at its wakeup.
    pub(super) fn rest(&mut self, id: WorkerId) -> Option<Arc<Condvar>> {
        self.awake(id);
        let slot = self.threads.slot(id)?;
        let wakeup = Arc::clone(&slot.wakeup);
        if slot.state == ThreadState::Running {
            self.concurrency.rests();
        }
        self.threads.falls_asleep(id);
        if self.watcher.is_none() && self.queue.is_ready() && !self.concurrency.is_one_waking() {
            self.watcher = Some(id);
        }
        Some(wakeup)
    }

    pub(super) fn is_to_leave(&self) -> bool {
        self.threads.staying() > self.limits.max || self.closed && !self.queue.is_ready()
    }

    pub(super) fn is_asleep(&mut self, id: WorkerId) -> bool {
        self.threads.slot(id).is_some_and(|slot| slot.state == ThreadState::Idle)
    }

    /// Whether it is time for a look.
    pub(super) fn sample_is_due(&mut self, now: Instant) -> bool {
        self.watcher.is_none()
            && self.queue.is_ready()
            && self.until_sample.as_mut().is_none_or(|countdown| countdown.left_at(now).is_none())
    }

    /// Takes note of those who are not likely to be back soon, and of those who do not count.
    pub(super) fn classify_jobs(&mut self) {
        let (slow, long) = self.threads.classify_jobs(self.concurrency.slow_after(), self.concurrency.long_after());
        self.concurrency.classify_jobs(slow, long);
    }

    /// Calls another thread if there is work for one, else sees to it that somebody watches.
    pub(super) fn call(&mut self) -> Action {
        if !self.queue.is_ready() {
            return Action::None;
        }
        let queued = self.queue.queued();
        match self.call_if(|concurrency| concurrency.wants_another(queued)) {
            Action::None if !self.concurrency.is_one_waking() => self.watch(),
            call => call,
        }
    }

    pub(super) fn call_if(&mut self, wanted: impl FnOnce(&ConcurrencyLimit) -> bool) -> Action {
        if !wanted(&self.concurrency) {
            return Action::None;
        }
        if let Some((id, wakeup)) = self.threads.call() {
            if self.watcher == Some(id) {
                self.watcher = None;
            }
            self.concurrency.woken();
            return Action::Notify(wakeup);
        }
        if !self.may_spawn() {
            return Action::None;
        }
        self.concurrency.woken();
        Action::Spawn(self.threads.join(ThreadState::Waking))
    }

    /// Has somebody watch the line.
    fn watch(&mut self) -> Action {
        if self.watcher.is_some() || self.closed {
            return Action::None;
        }
        if let Some((id, wakeup)) = self.threads.longest_asleep() {
            self.watcher = Some(id);
            return Action::Notify(wakeup);
        }
        if !self.may_spawn() {
            return Action::None;
        }
        let id = self.threads.join(ThreadState::Idle);
        self.watcher = Some(id);
        Action::Spawn(id)
    }

    /// Whether another thread may be started.
    pub(super) fn may_spawn(&self) -> bool {
        !self.closed
            && self.threads.live() < self.limits.max
            && self.spawns_again.is_none_or(|again| Instant::now() >= again)
    }
}
