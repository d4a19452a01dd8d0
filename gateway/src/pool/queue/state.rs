//! What the queue knows, and what it decides.
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::pool::crew::{Crew, SeatId, Wakefulness, Work};
use crate::pool::line::{LaneId, Line};
use crate::pool::queue::Item;
use crate::pool::waking::Waking;
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
    pub(super) line: Line<T>,
    pub(super) crew: Crew<T::Handle>,
    pub(super) waking: Waking,
    pub(super) limits: Limits,
    /// The one thread, asleep, that has a look once in a while.
    pub(super) watcher: Option<SeatId>,
    /// Runs since the last look.
    pub(super) until_look: Option<Countdown>,
    /// The system has refused a thread, and is not asked for another before this.
    pub(super) hires_again: Option<Instant>,
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
pub(crate) enum Call {
    Nobody,
    /// Ring its bell, outside the lock.
    Wake(Arc<Condvar>),
    /// Start it. It is counted already; say [`Queue::leave`] if it cannot be started.
    Hire(SeatId),
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
            line: Line::new(limits.max, limits.places),
            crew: Crew::new(),
            waking: Waking::new(limits.max, limits.parallelism, limits.shares),
            limits,
            watcher: None,
            until_look: None,
            hires_again: None,
            closed: false,
            waiting_for_end: Vec::new(),
            unasked: 0,
            completed: 0,
            would_have_shed: 0,
        }
    }

    /// If there is no room, takes those out of line that nobody waits for any more.
    ///
    /// It takes time to ask them all, under the lock. When that was in vain, a few more come, for a long line many, before they are
    /// asked again.
    pub(super) fn make_room(&mut self, lane: LaneId) -> Vec<T> {
        if self.line.has_room(lane) {
            self.unasked = 0;
            return Vec::new();
        }
        if let Some(less) = self.unasked.checked_sub(1) {
            self.unasked = less;
            return Vec::new();
        }
        let obsolete = self.line.take_out(T::is_obsolete);
        if obsolete.is_empty() {
            self.unasked = self.line.queued() / ASKED_AT_ONCE;
        }
        obsolete
    }

    /// Those in line, when some of them may have been let in for threads that are not to be had any more.
    pub(super) fn delayed(&self) -> Vec<T::Handle> {
        self.line.waiting().map(Item::handle).collect()
    }

    /// Whether there is, or may be, anybody to run another job.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.closed && (self.crew.live() > 0 || self.may_hire())
    }

    /// Lets a job in, or gives it back.
    pub(super) fn admit(&mut self, lane: LaneId, job: T) -> Result<(Entry, Call), T> {
        if !self.takes_jobs() {
            return Err(job);
        }
        if !self.line.has_room(lane) {
            if !self.limits.report_only {
                return Err(job);
            }
            self.would_have_shed += 1;
        }
        self.line.push(lane, job);
        let threads = if self.may_hire() { self.limits.max } else { self.crew.live() };
        let threads = threads.min(self.waking.allowed());
        let is_certain = self.line.queued() + self.crew.busy() <= threads && self.line.has_thread(lane);
        let entry = if is_certain { Entry::AtOnce } else { Entry::InLine };
        Ok((entry, self.call()))
    }

    /// The next job for a thread that is awake.
    pub(super) fn take(&mut self, id: SeatId, now: Instant) -> Option<(T, Call)> {
        let seat = self.crew.seat(id)?;
        if seat.state == Wakefulness::Asleep {
            if !self.closed {
                return None;
            }
            // Whoever is there helps to end.
            seat.state = Wakefulness::OnItsWay;
            self.waking.woken();
        }
        if !(self.closed || self.waking.may_go_on()) || self.crew.staying() > self.limits.max {
            return None;
        }
        let Some((lane, job)) = self.line.pop() else {
            if self.line.queued() == 0 {
                self.waking.drained();
            }
            return None;
        };
        self.awake(id);
        // One whose client has gone is over before it has begun, and says nothing of how long jobs take.
        let is_void = job.is_obsolete();
        self.crew.begin(id, Work { lane, since: now, is_slow: false, is_long: false, is_void, handle: job.handle() });
        let call = self.call();
        Some((job, call))
    }

    /// A thread that was on its way is there.
    fn awake(&mut self, id: SeatId) {
        if let Some(seat) = self.crew.seat(id)
            && seat.state == Wakefulness::OnItsWay
        {
            seat.state = Wakefulness::Awake;
            self.waking.arrived();
        }
    }

    /// Counts the job that a thread is done with.
    pub(super) fn end(&mut self, id: SeatId, now: Instant) -> Option<T::Handle> {
        let work = self.crew.end(id)?;
        self.line.finished(work.lane);
        if work.is_long {
            self.waking.long_ended();
        }
        if work.is_slow {
            self.waking.slow_ended();
        }
        if !work.is_void {
            self.waking.served(now.saturating_duration_since(work.since));
            self.completed += 1;
        }
        Some(work.handle)
    }

    /// Whether a thread that has found nothing to do is likely to be called again at once: it has had more than one job since it slept, or
    /// many others are at jobs that block, and soon through with them.
    pub(super) fn is_in_demand(&mut self, id: SeatId) -> bool {
        self.crew.is_in_demand(id) || self.crew.busy() > self.limits.parallelism && self.waking.jobs_block()
    }

    /// Puts a thread to sleep, at its bell.
    pub(super) fn rest(&mut self, id: SeatId) -> Option<Arc<Condvar>> {
        self.awake(id);
        let seat = self.crew.seat(id)?;
        let bell = Arc::clone(&seat.bell);
        if seat.state == Wakefulness::Awake {
            self.waking.rests();
        }
        self.crew.falls_asleep(id);
        if self.watcher.is_none() && self.line.is_ready() && !self.waking.is_one_on_its_way() {
            self.watcher = Some(id);
        }
        Some(bell)
    }

    pub(super) fn is_to_leave(&self) -> bool {
        self.crew.staying() > self.limits.max || self.closed && !self.line.is_ready()
    }

    pub(super) fn is_asleep(&mut self, id: SeatId) -> bool {
        self.crew.seat(id).is_some_and(|seat| seat.state == Wakefulness::Asleep)
    }

    /// Whether it is time for a look.
    pub(super) fn look_is_due(&mut self, now: Instant) -> bool {
        self.watcher.is_none()
            && self.line.is_ready()
            && self.until_look.as_mut().is_none_or(|countdown| countdown.left_at(now).is_none())
    }

    /// Takes note of those who are not likely to be back soon, and of those who do not count.
    pub(super) fn note_ages(&mut self) {
        let (slow, long) = self.crew.note_ages(self.waking.slow_after(), self.waking.long_after());
        self.waking.note_ages(slow, long);
    }

    /// Calls another thread if there is work for one, else sees to it that somebody watches.
    pub(super) fn call(&mut self) -> Call {
        if !self.line.is_ready() {
            return Call::Nobody;
        }
        let queued = self.line.queued();
        match self.call_if(|waking| waking.wants_another(queued)) {
            Call::Nobody if !self.waking.is_one_on_its_way() => self.watch(),
            call => call,
        }
    }

    pub(super) fn call_if(&mut self, wanted: impl FnOnce(&Waking) -> bool) -> Call {
        if !wanted(&self.waking) {
            return Call::Nobody;
        }
        if let Some((id, bell)) = self.crew.call() {
            if self.watcher == Some(id) {
                self.watcher = None;
            }
            self.waking.woken();
            return Call::Wake(bell);
        }
        if !self.may_hire() {
            return Call::Nobody;
        }
        self.waking.woken();
        Call::Hire(self.crew.join(Wakefulness::OnItsWay))
    }

    /// Has somebody watch the line.
    fn watch(&mut self) -> Call {
        if self.watcher.is_some() || self.closed {
            return Call::Nobody;
        }
        if let Some((id, bell)) = self.crew.longest_asleep() {
            self.watcher = Some(id);
            return Call::Wake(bell);
        }
        if !self.may_hire() {
            return Call::Nobody;
        }
        let id = self.crew.join(Wakefulness::Asleep);
        self.watcher = Some(id);
        Call::Hire(id)
    }

    /// Whether another thread may be started.
    pub(super) fn may_hire(&self) -> bool {
        !self.closed
            && self.crew.live() < self.limits.max
            && self.hires_again.is_none_or(|again| Instant::now() >= again)
    }
}
