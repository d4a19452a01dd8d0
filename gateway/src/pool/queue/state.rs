//! The state of the queue, and its decisions.
//!
//! Threads: any; under the lock of the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::executor::Accepted;
use crate::pool::admission_queue::{AdmissionQueue, ShareId};
use crate::pool::concurrency_limit::ConcurrencyLimit;
use crate::pool::queue::QueueItem;
use crate::pool::thread_table::{CurrentJob, ThreadCounts, ThreadState, ThreadTable, WorkerId};
use crate::sync::{Condvar, Countdown};

/// The limits of a pool.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Limits {
    /// Threads that stay when idle.
    pub(crate) min: usize,
    pub(crate) max: usize,
    /// How many jobs may wait while all threads are busy.
    pub(crate) queue_limit: usize,
    /// How long a job may wait for a thread.
    pub(crate) queue_timeout: Duration,
    /// How many threads can run at the same time.
    pub(crate) parallelism: usize,
    /// The parallelism was set: the threads contend for a shared resource.
    pub(crate) is_contended: bool,
    /// How long a thread beyond `min` may be idle before it ends.
    pub(crate) idle_timeout: Option<Duration>,
    /// Admit jobs without room, and count them.
    pub(crate) report_only: bool,
}

/// All of it is read and written under the lock of the queue.
pub(super) struct State<T: QueueItem> {
    pub(super) queue: AdmissionQueue<T>,
    pub(super) threads: ThreadTable<T::Handle>,
    pub(super) concurrency: ConcurrencyLimit,
    pub(super) limits: Limits,
    /// The idle thread that waits with a timer while jobs are queued. At most one, so that a pool has one timer.
    pub(super) watcher: Option<WorkerId>,
    /// The time until the next sample.
    pub(super) until_sample: Option<Countdown>,
    /// The system has refused a thread; none is spawned before this time.
    pub(super) spawns_again: Option<Instant>,
    pub(super) closed: bool,
    /// How many more pushes without room skip the search for obsolete jobs.
    pub(super) searches_to_skip: usize,
    /// How many threads are to become drivers, because as many are held.
    pub(super) missing_drivers: usize,
    /// How many jobs drivers have begun.
    pub(super) begun_here: u64,
    /// How many drivers became workers in a job.
    pub(super) held: u64,
    pub(super) completed: u64,
    pub(super) would_have_shed: u64,
}

/// What has become of a job that was pushed.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    Queued(Accepted, Action),
    /// The driver that has read the request runs it, once it has left its poll.
    Here(T),
}

/// How many jobs a push without room may check for obsolescence, on average.
const CHECKED_PER_PUSH: usize = 16;

/// What the caller has to do for another thread, after it has released the lock.
#[derive(Debug)]
#[must_use]
pub(crate) enum Action {
    None,
    /// Notify it: under the lock, the woken thread would only wait for the lock. Not lost, as the state has changed
    /// under the lock: a thread whose wait has ended by itself reads the state, and the notification is spurious.
    Notify(Arc<Condvar>),
    /// Start it. It is counted already; call [`Queue::refused`](super::Queue::refused) if it cannot be started.
    Spawn(WorkerId),
}

impl<T: QueueItem> State<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            queue: AdmissionQueue::new(limits.max, limits.queue_limit),
            threads: ThreadTable::new(),
            concurrency: ConcurrencyLimit::new(limits.max, limits.parallelism, limits.is_contended),
            limits,
            watcher: None,
            until_sample: None,
            spawns_again: None,
            closed: false,
            searches_to_skip: 0,
            missing_drivers: 0,
            begun_here: 0,
            held: 0,
            completed: 0,
            would_have_shed: 0,
        }
    }

    /// If there is no room, removes the obsolete jobs. The caller drops them outside the lock.
    ///
    /// The search holds the lock for a time that grows with the queue. After a search without a result, a number of
    /// pushes proportional to the length of the queue skip it.
    pub(super) fn make_room(&mut self, share: ShareId) -> Vec<T> {
        if self.queue.has_room(share) {
            self.searches_to_skip = 0;
            return Vec::new();
        }
        if let Some(less) = self.searches_to_skip.checked_sub(1) {
            self.searches_to_skip = less;
            return Vec::new();
        }
        let obsolete = self.queue.take_out(T::is_obsolete);
        if obsolete.is_empty() {
            self.searches_to_skip = self.queue.queued() / CHECKED_PER_PUSH;
        }
        obsolete
    }

    /// The queued jobs, after a change by which some may have lost the thread that [`Accepted::at_once`] promised.
    /// Collected in the critical section of the change: a later push is accepted by the new limits.
    pub(super) fn delayed(&self) -> Vec<T::Handle> {
        self.queue.waiting().map(QueueItem::handle).collect()
    }

    /// Whether there is a thread for another job, or one may be started.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.closed && (self.threads.counts().live > 0 || self.may_spawn())
    }

    /// Admits a job, or returns it. `driver` is the thread that has read the request, if the job is likely to be short.
    pub(super) fn admit(&mut self, share: ShareId, job: T, driver: Option<WorkerId>) -> Result<Pushed<T>, T> {
        if !self.takes_jobs() {
            return Err(job);
        }
        if !self.queue.has_room(share) {
            if !self.limits.report_only {
                return Err(job);
            }
            self.would_have_shed += 1;
        }
        if let Some(id) = driver
            && self.may_run_here(id)
            && self.queue.start_at_once(share)
        {
            let is_void = job.is_obsolete();
            let (since, handle) = (Instant::now(), job.handle());
            self.threads.begin_driving(id, CurrentJob { is_void, ..CurrentJob::new(share, since, handle) });
            self.begun_here += 1;
            return Ok(Pushed::Here(job));
        }
        self.queue.push(share, job);
        let counts = self.threads.counts();
        let threads = if self.may_spawn() { self.limits.max } else { counts.live };
        let threads = threads.min(self.concurrency.allowed());
        let is_certain = self.queue.queued() + counts.busy <= threads && self.queue.has_thread(share);
        let accepted = if is_certain { Accepted::at_once() } else { Accepted::queued(self.limits.queue_timeout) };
        Ok(Pushed::Queued(accepted, self.wake_if_it_pays()))
    }

    /// Whether a driver may run a job itself. If the threads contend for something, drivers count like the others.
    fn may_run_here(&self, id: WorkerId) -> bool {
        let counts = self.threads.counts();
        let has_place = !self.limits.is_contended || counts.active + counts.driving_busy < self.concurrency.allowed();
        has_place && matches!(self.threads.state(id), ThreadState::Driving)
    }

    /// Makes a worker without a job a driver, if one is missing. Another thread has to take the job for which this one
    /// may have been woken, now or as the watcher; if none can be had, this thread takes the job first.
    pub(super) fn becomes_driver(&mut self, id: WorkerId) -> Option<Action> {
        let left = self.missing_drivers.checked_sub(1)?;
        if self.queue.is_ready() && !self.has_spare_beside(id) {
            return None;
        }
        self.missing_drivers = left;
        self.threads.promote(id);
        self.watches_no_more(id);
        Some(self.wake_if_it_pays())
    }

    /// The next job for an active thread.
    pub(super) fn take(&mut self, id: WorkerId, now: Instant) -> Option<(T, Action)> {
        // After a spurious wakeup, or started to become idle: only `wake_if` may make it active. `close` lets it take a
        // job all the same, as it wakes only the threads that wait.
        if self.is_idle(id) && !self.closed {
            return None;
        }
        let counts = self.threads.counts();
        if !(self.closed || self.concurrency.may_take_job(counts)) || counts.staying() > self.limits.max {
            return None;
        }
        let Some((share, job)) = self.queue.pop() else {
            if self.queue.queued() == 0 {
                self.concurrency.drained();
            }
            return None;
        };
        // A job without a client returns at once; its run time must not enter the average.
        let is_void = job.is_obsolete();
        self.threads.begin(id, CurrentJob { is_void, ..CurrentJob::new(share, now, job.handle()) });
        let action = self.wake_if_it_pays();
        Some((job, action))
    }

    /// Counts the job that a thread gives up. The caller drops the handle outside the lock.
    pub(super) fn end(&mut self, id: WorkerId, now: Instant) -> Option<T::Handle> {
        let work = self.threads.end(id)?;
        self.queue.finished(work.share);
        if !work.is_void {
            let took = now.saturating_duration_since(work.since);
            if !work.has_held {
                T::ran(&work.handle, took);
            }
            self.concurrency.served(took);
            self.completed += 1;
        }
        Some(work.handle)
    }

    /// Whether a thread without a job is likely to be woken again at once: it has taken more than one job since it was
    /// idle, or many other threads have jobs that block and will end soon.
    pub(super) fn is_in_demand(&self, id: WorkerId) -> bool {
        let counts = self.threads.counts();
        self.threads.is_in_demand(id) || counts.busy > self.limits.parallelism && self.concurrency.jobs_block(counts)
    }

    /// Makes a thread idle, and returns its condition variable. The caller waits in the same critical section: a push
    /// between the two would notify a thread that does not wait yet.
    pub(super) fn become_idle(&mut self, id: WorkerId) -> Arc<Condvar> {
        let wakeup = self.threads.become_idle(id);
        // A queued job may be left for which the limit allows no thread: without a timer, no thread would check again.
        if self.watcher.is_none() && self.queue.is_ready() && self.threads.counts().waking == 0 {
            self.watcher = Some(id);
        }
        wakeup
    }

    pub(super) fn is_to_leave(&self) -> bool {
        self.threads.counts().staying() > self.limits.max || self.closed && !self.queue.is_ready()
    }

    pub(super) fn is_idle(&self, id: WorkerId) -> bool {
        matches!(self.threads.state(id), ThreadState::Idle | ThreadState::Starting)
    }

    /// Whether a running thread has to sample, because there is no watcher to do it.
    pub(super) fn sample_is_due(&mut self, now: Instant) -> bool {
        self.watcher.is_none()
            && self.queue.is_ready()
            && self.until_sample.as_mut().is_none_or(|countdown| countdown.left_at(now).is_none())
    }

    /// Classifies the running jobs as slow and long.
    pub(super) fn classify_jobs(&mut self) {
        self.threads.classify_jobs(self.concurrency.slow_after(), self.concurrency.long_after());
    }

    /// Wakes another thread if that pays. If not, and none is waking, there has to be a watcher. A waking thread calls
    /// this itself once it has taken a job.
    pub(super) fn wake_if_it_pays(&mut self) -> Action {
        if !self.queue.is_ready() {
            return Action::None;
        }
        let queued = self.queue.queued();
        match self.wake_if(|concurrency, threads| concurrency.wants_another(threads, queued)) {
            Action::None if self.threads.counts().waking == 0 => self.watch(),
            action => action,
        }
    }

    /// If `wanted`, chooses an idle thread, or a slot for a new one. Its state is `Waking` before the lock is released,
    /// so that two pushes cannot choose the same thread.
    pub(super) fn wake_if(&mut self, wanted: impl FnOnce(&ConcurrencyLimit, ThreadCounts) -> bool) -> Action {
        if !wanted(&self.concurrency, self.threads.counts()) {
            return Action::None;
        }
        if let Some((id, wakeup)) = self.threads.choose_latest(ThreadState::Waking) {
            self.watches_no_more(id);
            return Action::Notify(wakeup);
        }
        if !self.may_spawn() {
            return Action::None;
        }
        Action::Spawn(self.threads.join(ThreadState::Waking))
    }

    /// The thread is not idle any more.
    pub(super) fn watches_no_more(&mut self, id: WorkerId) {
        self.watcher = self.watcher.filter(|watcher| *watcher != id);
    }

    /// The queued jobs, if no thread is left that will run them.
    pub(super) fn orphans(&mut self) -> Vec<T> {
        let counts = self.threads.counts();
        // The end of a job on a driver wakes or starts a thread for the jobs that wait for it.
        let is_last = counts.live == 0 && counts.driving_busy == 0 && self.queue.queued() > 0;
        if is_last { self.queue.take_out(|_| true) } else { Vec::new() }
    }

    /// Chooses a watcher: the thread that `wake_if` would choose last, so that its timer is seldom cancelled. It waits
    /// without that timer, so it is notified to wait again.
    fn watch(&mut self) -> Action {
        if self.watcher.is_some() || self.closed {
            return Action::None;
        }
        if let Some((id, wakeup)) = self.threads.longest_idle() {
            self.watcher = Some(id);
            return Action::Notify(wakeup);
        }
        if !self.may_spawn() {
            return Action::None;
        }
        let id = self.threads.join(ThreadState::Starting);
        self.watcher = Some(id);
        Action::Spawn(id)
    }

    /// Whether another thread may be started.
    pub(super) fn may_spawn(&self) -> bool {
        self.may_spawn_beside(self.threads.counts().live)
    }

    /// Whether a thread other than this worker is idle, is about to take a job, or may be started in its place.
    fn has_spare_beside(&self, id: WorkerId) -> bool {
        let counts = self.threads.counts();
        let is_waking = matches!(self.threads.state(id), ThreadState::Waking);
        counts.waking > usize::from(is_waking)
            || self.threads.is_idle_beside(id)
            || self.may_spawn_beside(counts.live.saturating_sub(1))
    }

    /// The system refuses threads: for a second it is not asked again.
    pub(super) fn refuse_threads(&mut self) {
        self.spawns_again = Some(Instant::now() + Duration::from_secs(1));
    }

    fn may_spawn_beside(&self, live: usize) -> bool {
        // A job that was accepted runs, even if `close` came while the last thread was leaving.
        (!self.closed || live == 0)
            && live < self.limits.max
            && self.spawns_again.is_none_or(|again| Instant::now() >= again)
    }
}
