//! How many threads of a pool may be active: the policy, without the threads.
//!
//! A thread is *idle* or *active*: *waking* (woken or started, without a job yet), or running. The
//! [thread table](super::thread_table) counts them. Blocking jobs need all threads;
//! short jobs end soonest on the few threads that run already; computing jobs need one thread for each CPU, since more
//! threads would only take turns. The kind of the jobs is not configured; the policy measures it:
//!
//! * **One waking thread at a time.** While a thread is waking, no other is woken; once it has taken its job and the
//!   queue is not empty, it wakes the next. A burst thus wakes threads about as fast as the system can, and a trickle
//!   wakes one. If jobs are slow, no running thread will be back soon, and each queued job may have a waking thread.
//! * **Only when it pays.** To wake a thread takes longer than to run a short job. While the running threads can empty
//!   the queue in that time, no thread is woken. (The estimate is the median, which a job that waited for a CPU does
//!   not change.) Threads with *slow* jobs are not expected back; another thread is woken in their place.
//! * **A sample at intervals**, while jobs are queued: by one idle thread, the watcher, or by a thread between two
//!   jobs. It counts the *runnable* threads, as the system reports them. If fewer threads are runnable than there are
//!   CPUs while the queue is not empty, jobs are blocking: double the limit. If more than twice as many are runnable,
//!   jobs compute: the surplus becomes idle after its jobs. In between, the limit falls by a sixteenth, which detects
//!   threads that only wait for each other, such as for the lock of an interpreter. Only two samples in a row lower the
//!   limit: sleeping threads may wake at the same time by chance.
//! * **No sample of threads that compute little**, by the CPU time that each thread reports. Threads that sleep for the
//!   same time wake together with the thread that samples, and all of them would appear runnable.
//! * **The initial limit is all threads**, unless the parallelism was set. Then the threads share a resource, such as
//!   the lock of an interpreter, and a burst of short jobs on all threads would make them take turns. The limit begins
//!   at the parallelism, and reaches 64 within a few milliseconds of blocking.
//! * **Long jobs do not count.** A thread whose job takes much longer than the average is left to the scheduler of the
//!   system, and another thread may run in its place. Endless computing jobs, even one on each CPU, thus do not delay
//!   later jobs.
//!
//! The thread that became idle most recently is woken first: its stack is still in the caches.
//!
//! Threads: any; under the lock of the queue.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::pool::thread_table::ThreadCounts;

/// How often the watcher checks the queue, and the interval of samples as long as they change the limit. A job that has
/// run for longer is slow.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(1);

/// The longest interval, after samples that changed nothing.
const LONGEST_SAMPLE_INTERVAL: Duration = Duration::from_millis(64);

/// The time from the wakeup of a thread until it takes its job.
const WAKE_UP: Duration = Duration::from_micros(50);

/// A job is long after this multiple of the average, within bounds. A multiple, because contention makes all jobs take
/// longer.
const LONG: u32 = 4;
const SHORTEST_LONG: Duration = Duration::from_millis(10);
const LONGEST_LONG: Duration = Duration::from_secs(5);

/// The estimate before the first job has ended: long enough to be worth a thread, but not slow.
const FIRST_GUESS: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    /// How many threads can run at the same time: the CPUs, or what the interpreter allows.
    parallelism: usize,
    /// The parallelism was set: the threads contend for a shared resource.
    is_contended: bool,
    /// The maximum number of threads.
    threads: usize,
    /// The concurrency limit: how many counted threads may be active. All, until samples show contention;
    /// with `is_contended`, the parallelism, until samples show that jobs block.
    allowed: usize,
    /// Moving average of the run time of jobs.
    average: Duration,
    /// Moving median of the run time of jobs. A single delayed job does not change it, as it would the average.
    median: Duration,
    /// Fraction of their run time for which threads had a CPU, moving average.
    computing: f64,
    /// The last sample counted at least as many runnable threads as the parallelism.
    was_full: bool,
    /// That sample was the first in a row; the next sample decides whether it was chance.
    is_in_doubt: bool,
    /// Since the last sample, a thread has found the queue empty.
    was_drained: bool,
    /// The interval until the next sample, unless this sample is in doubt.
    pause: Duration,
}

/// The active threads, without those whose job is long.
fn counted(threads: ThreadCounts) -> usize {
    threads.active - threads.long
}

impl ConcurrencyLimit {
    pub(crate) fn new(threads: usize, parallelism: usize, is_contended: bool) -> Self {
        Self {
            parallelism: parallelism.max(1),
            is_contended,
            threads,
            allowed: if is_contended { parallelism.clamp(1, threads.max(1)) } else { threads },
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
        self.allowed = if self.is_contended { self.allowed.min(threads.max(1)) } else { threads };
    }

    /// Whether to wake another thread for this number of queued jobs.
    pub(crate) fn wants_another(&self, threads: ThreadCounts, queued: usize) -> bool {
        let most = if self.median > SAMPLE_INTERVAL { queued } else { queued.min(1) };
        if threads.waking >= most || counted(threads) >= self.allowed {
            return false;
        }
        // Threads with slow jobs are unlikely to be back soon.
        let quick = threads.active - threads.slow;
        if quick >= self.parallelism && self.median < WAKE_UP {
            return false; // Jobs that short do not block for long enough to leave a CPU idle.
        }
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        quick == 0 || self.median.saturating_mul(queued) > WAKE_UP * u32::try_from(quick).unwrap_or(u32::MAX)
    }

    /// Whether the limit allows another thread, whether or not it pays.
    pub(crate) fn allows_another(&self, threads: ThreadCounts) -> bool {
        threads.waking == 0 && counted(threads) < self.allowed
    }

    /// The age from which a job is slow.
    pub(crate) fn slow_after(&self) -> Duration {
        // A loom model has no clock.
        if cfg!(gateway_loom) { Duration::MAX } else { SAMPLE_INTERVAL }
    }

    /// The age from which a job is long.
    pub(crate) fn long_after(&self) -> Duration {
        if cfg!(gateway_loom) {
            return Duration::MAX;
        }
        self.average.saturating_mul(LONG).clamp(SHORTEST_LONG, LONGEST_LONG)
    }

    pub(crate) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Whether an active thread may take another job.
    pub(crate) fn may_take_job(&self, threads: ThreadCounts) -> bool {
        counted(threads) <= self.allowed
    }

    /// A thread has found the queue empty.
    pub(crate) fn drained(&mut self) {
        self.was_drained = true;
    }

    /// Updates the average and the median with the run time of a job that has ended.
    pub(crate) fn served(&mut self, took: Duration) {
        // Weight of an eighth.
        self.average = (self.average * 7 + took.min(Duration::from_secs(3600))) / 8;
        let step = self.median / 8 + Duration::from_nanos(1);
        self.median = if took > self.median { self.median + step } else { self.median.saturating_sub(step) };
    }

    /// Updates the moving average of CPU time with a thread's fraction, from 0 to 1.
    pub(crate) fn computed(&mut self, part: f64) {
        // Weight of a sixteenth.
        self.computing += (part - self.computing) / 16.0;
    }

    /// Whether jobs mostly block, by the measured CPU time. Unknown, hence false, while the limit is below the maximum:
    /// the average was measured with more running threads.
    pub(crate) fn jobs_block(&self, threads: ThreadCounts) -> bool {
        // The active threads use less than half of the CPUs.
        self.allowed >= self.threads && self.computing * (counted(threads) as f64) < 0.5 * self.parallelism as f64
    }

    pub(crate) fn average(&self) -> Duration {
        self.average
    }

    /// Adapts the limit to a sample: how many of the counted threads with a job are runnable. `None` if the system does
    /// not report it.
    pub(crate) fn sample(&mut self, threads: ThreadCounts, runnable: Option<usize>) {
        let was_drained = std::mem::take(&mut self.was_drained);
        let Some(runnable) = runnable else {
            self.allowed = self.threads;
            return;
        };
        let active = counted(threads);
        let most = self.threads.max(1);
        let least = self.parallelism.min(most);
        let is_full = !was_drained && runnable >= self.parallelism;
        let was_full = std::mem::replace(&mut self.was_full, is_full);
        let more = self.allowed.saturating_mul(2);
        let is_enough = was_drained && self.is_contended && runnable >= self.parallelism;
        let wanted = if is_enough {
            self.allowed
        } else if was_drained {
            // The queue was empty in between: the limit delayed no job, and the next burst may be of another kind.
            more
        } else if !is_full {
            more.max(active.saturating_mul(2))
        } else if !was_full {
            self.allowed
        } else if runnable <= self.parallelism.saturating_mul(2) {
            let some = self.allowed.min(active);
            some - some.div_ceil(16)
        } else {
            active.saturating_sub(runnable - self.parallelism)
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

    /// The interval until the next sample, while jobs are queued.
    pub(crate) fn pause(&self) -> Duration {
        if self.is_in_doubt { SAMPLE_INTERVAL } else { self.pause }
    }
}
