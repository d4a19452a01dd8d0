//! How many threads of a pool are worth having awake: the policy, apart from the threads.
//!
//! Work that blocks wants all threads; short work is done fastest by the few that are awake already; work that computes
//! wants as many as there are processors, because any more only take turns. Nobody says which it is, so the policy goes
//! by what it sees:
//!
//! * **One on its way at a time.** A thread that was woken, or started, and has not taken its job yet is *on its way*.
//!   While one is, nobody wakes another; when it has arrived and still finds a line, it wakes the next. So a burst
//!   wakes threads about as fast as they can be woken, and a trickle wakes one. Where jobs are slow, nobody who arrives
//!   will be back for the next one soon, and each job in line has a thread on its way.
//! * **Only when it pays.** To wake a thread takes longer than a short job does. As long as those that are awake will
//!   be through with the line before that, they are left to it. (A job that had to wait for a processor says nothing of
//!   how long others take.) Those at *slow* jobs are not expected back, and another is called in their place.
//! * **A look once in a while**, while there is a line: by one idle thread that watches, or by a thread that passes. It
//!   counts the threads that are *runnable*, which the system knows. Fewer than there are processors for, although
//!   nobody has had nothing to do: jobs block, and twice as many threads may be awake. More than twice as many: jobs
//!   compute, and the surplus goes to sleep when it is through with what it has. In between, a sixteenth fewer are
//!   tried, so that threads which merely wait for one another, as under the lock of an interpreter, are found out. Only
//!   what is seen twice in a row makes them fewer: threads that sleep may happen to wake at the same time.
//! * **No look at threads that compute little**, as each says itself, now and then. Those that sleep for the same time
//!   wake together, and whoever looks has just been woken, too: it would see them all.
//! * **All may be awake at first**, unless it was said how many can run at a time: then they share something, such as
//!   the lock of an interpreter, and a burst of short jobs that woke all would have them take turns. As many as that
//!   may be awake at first, and 64 of them a few milliseconds after the first have blocked.
//! * **Long jobs do not count.** A thread whose job takes much longer than jobs do is left to the system's own
//!   scheduler, and another may be awake in its place. So jobs that compute for ever, be they as many as there are
//!   processors, do not hold up those that come after them.
//!
//! Whoever was idle for the shortest time is woken first: its stack and its caches are still warm, and the others may
//! sleep. An idle pool has no timers, unless it has an idle time-out; no thread ever spins.
//!
//! Threads: any; under the lock of the queue.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// How often somebody sees to the line while there is one, and looks, as long as looking changes something. A job that
/// has taken longer is a slow one.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(1);

/// How rarely, as long as looking changes nothing.
const LONGEST_SAMPLE_INTERVAL: Duration = Duration::from_millis(64);

/// What it takes until a thread that is woken has taken its job.
const WAKE_UP: Duration = Duration::from_micros(50);

/// When a job is a long one: after so many times what jobs take, as threads in each other's way make all take longer;
/// within bounds.
const LONG: u32 = 4;
const SHORTEST_LONG: Duration = Duration::from_millis(10);
const LONGEST_LONG: Duration = Duration::from_secs(5);

/// What is known of jobs before the first has ended: long enough to be worth a thread, but not slow.
const FIRST_GUESS: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    /// How many threads the machine, or the interpreter, can run at the same time.
    parallelism: usize,
    /// That number was set, and not counted: the threads share something, and more of them are in each other's way.
    shares: bool,
    /// The most threads.
    threads: usize,
    /// How many may be awake and count: all, until looking has shown that they are in each other's way. Where that is
    /// known, it has to show that jobs block instead.
    allowed: usize,
    /// Threads that run a job, or are about to.
    running: usize,
    /// Those of them that do not count, as their jobs were long ones by then.
    long: usize,
    /// Those of them that have not taken one yet.
    waking: usize,
    /// Those of them that were at slow jobs when that was last noted, and are not likely to be back soon.
    slow: usize,
    /// How long a job takes on average, of late.
    average: Duration,
    /// How long half of the jobs take at most, of late. One that was held up does not change that, as it would the
    /// average.
    median: Duration,
    /// For what part of their time at jobs threads had a processor, of late.
    computing: f64,
    /// The last look has seen as many runnable threads as there are processors, or more.
    was_full: bool,
    /// It was the first of them, and the next one is to say whether that was chance.
    is_in_doubt: bool,
    /// Since the last look, a thread has found nothing to do.
    was_drained: bool,
    /// How long to wait until the next look, unless this one is in doubt.
    pause: Duration,
}

impl ConcurrencyLimit {
    pub(crate) fn new(threads: usize, parallelism: usize, shares: bool) -> Self {
        Self {
            parallelism: parallelism.max(1),
            shares,
            threads,
            allowed: if shares { parallelism.clamp(1, threads.max(1)) } else { threads },
            running: 0,
            long: 0,
            waking: 0,
            slow: 0,
            average: FIRST_GUESS,
            median: FIRST_GUESS,
            computing: 1.0,
            was_full: false,
            is_in_doubt: false,
            was_drained: true,
            pause: SAMPLE_INTERVAL,
        }
    }

    pub(crate) fn resize(&mut self, threads: usize) {
        self.threads = threads;
        self.allowed = if self.shares { self.allowed.min(threads.max(1)) } else { threads };
    }

    /// Whether another thread is to be woken, now that so many jobs wait.
    pub(crate) fn wants_another(&self, queued: usize) -> bool {
        let most = if self.median > SAMPLE_INTERVAL { queued } else { queued.min(1) };
        if self.waking >= most || self.counted() >= self.allowed {
            return false;
        }
        let quick = self.running - self.slow;
        if quick >= self.parallelism && self.median < WAKE_UP {
            return false; // Jobs that short do not block for long enough to leave a processor idle.
        }
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        quick == 0 || self.median.saturating_mul(queued) > WAKE_UP * u32::try_from(quick).unwrap_or(u32::MAX)
    }

    /// Whether the line may have another thread at all, whether or not it pays.
    pub(crate) fn allows_another(&self) -> bool {
        self.waking == 0 && self.counted() < self.allowed
    }

    pub(crate) fn is_one_waking(&self) -> bool {
        self.waking > 0
    }

    /// The threads that are awake, but for those at long jobs.
    fn counted(&self) -> usize {
        self.running - self.long
    }

    /// From what age on a job is a slow one.
    pub(crate) fn slow_after(&self) -> Duration {
        // In a model there are no clocks.
        if cfg!(gateway_loom) { Duration::MAX } else { SAMPLE_INTERVAL }
    }

    /// From what age on a job is a long one.
    pub(crate) fn long_after(&self) -> Duration {
        if cfg!(gateway_loom) {
            return Duration::MAX;
        }
        self.average.saturating_mul(LONG).clamp(SHORTEST_LONG, LONGEST_LONG)
    }

    /// So many threads are at slow jobs, and of these so many at long ones.
    pub(crate) fn classify_jobs(&mut self, slow: usize, long: usize) {
        (self.slow, self.long) = (slow, long);
    }

    /// One of those that are not waited for is back.
    pub(crate) fn slow_ended(&mut self) {
        self.slow -= 1;
    }

    /// One of those that did not count is done, and counts.
    pub(crate) fn long_ended(&mut self) {
        self.long -= 1;
    }

    /// How many threads do not count.
    pub(crate) fn long(&self) -> usize {
        self.long
    }

    /// How many threads may be awake.
    pub(crate) fn allowed(&self) -> usize {
        self.allowed
    }

    /// A thread is woken or started, to take a job.
    pub(crate) fn woken(&mut self) {
        self.running += 1;
        self.waking += 1;
    }

    /// A thread that was woken is there. It stays awake.
    pub(crate) fn arrived(&mut self) {
        self.waking -= 1;
    }

    /// Whether a thread that is awake may take another job.
    pub(crate) fn may_go_on(&self) -> bool {
        self.counted() <= self.allowed
    }

    /// A thread that was awake goes to sleep, or leaves.
    pub(crate) fn rests(&mut self) {
        self.running -= 1;
    }

    /// There is nothing to do.
    pub(crate) fn drained(&mut self) {
        self.was_drained = true;
    }

    /// A job has ended that took so long.
    pub(crate) fn served(&mut self, took: Duration) {
        // Moves an eighth of the way.
        self.average = (self.average * 7 + took.min(Duration::from_secs(3600))) / 8;
        let step = self.median / 8 + Duration::from_nanos(1);
        self.median = if took > self.median { self.median + step } else { self.median.saturating_sub(step) };
    }

    /// A thread says for what part of its time at jobs it had a processor, of 1.
    pub(crate) fn computed(&mut self, part: f64) {
        // Moves a sixteenth of the way.
        self.computing += (part - self.computing) / 16.0;
    }

    /// Whether it is known that jobs block, for the most part, so that all threads may be awake, as they are. Once some
    /// are held back it is not known any more: the others compute for a larger part.
    pub(crate) fn jobs_block(&self) -> bool {
        // Of what they could have, less than half.
        self.allowed >= self.threads && self.computing * (self.counted() as f64) < 0.5 * self.parallelism as f64
    }

    /// How long a job takes, of late.
    pub(crate) fn average(&self) -> Duration {
        self.average
    }

    /// A look at those that run a job, and count: how many of them want a processor. `None` where the system does not
    /// tell.
    pub(crate) fn sample(&mut self, runnable: Option<usize>) {
        let was_drained = std::mem::take(&mut self.was_drained);
        let Some(runnable) = runnable else {
            self.allowed = self.threads;
            return;
        };
        let awake = self.counted();
        let most = self.threads.max(1);
        let least = self.parallelism.min(most);
        let is_full = !was_drained && runnable >= self.parallelism;
        let was_full = std::mem::replace(&mut self.was_full, is_full);
        let more = self.allowed.saturating_mul(2);
        let is_enough = was_drained && self.shares && runnable >= self.parallelism;
        let wanted = if is_enough {
            self.allowed
        } else if was_drained {
            // Nobody was kept waiting, and the next burst may be of another kind.
            more
        } else if !is_full {
            more.max(awake.saturating_mul(2))
        } else if !was_full {
            self.allowed
        } else if runnable <= self.parallelism.saturating_mul(2) {
            let some = self.allowed.min(awake);
            some - some.div_ceil(16)
        } else {
            awake.saturating_sub(runnable - self.parallelism)
        };
        let allowed = wanted.clamp(least, most);
        self.is_in_doubt = is_full && !was_full;
        if allowed != self.allowed || is_enough {
            self.pause = SAMPLE_INTERVAL;
        } else if !self.is_in_doubt {
            self.pause = (self.pause * 2).min(LONGEST_SAMPLE_INTERVAL);
        }
        self.allowed = allowed;
    }

    /// How long it is until the next look, while there is a line.
    pub(crate) fn pause(&self) -> Duration {
        if self.is_in_doubt { SAMPLE_INTERVAL } else { self.pause }
    }
}
