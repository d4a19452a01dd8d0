//! What was seen of the run times of a mount's jobs: whether they are short enough to run where they were read.
//!
//! A mount begins as not short. It becomes short after enough jobs in a row that take less than a wake-up costs. If its
//! jobs take turns anyway, as under the lock of Python's interpreter, another thread would not run two at once: then
//! longer ones run where they were read, too, as long as no other connection waits for the thread. A job of more than a
//! millisecond holds up the connections of its driver: it adds a debt, which other jobs pay off one by one. So one such
//! job in a thousand is tolerated, and one in a hundred is not. The memory is longer than the jobs: a rule that only
//! counted short jobs in a row would take every mount that sometimes sleeps for short, again and again.
//!
//! Threads: any; never blocks.

#[cfg(feature = "python")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A job below costs less than the wake-up of another thread.
const SHORT: Duration = Duration::from_micros(50);

/// A job below may run where it was read if jobs take turns, and no connection waits. Half of what makes the thread a
/// worker.
#[cfg(feature = "python")]
const BRIEF: Duration = Duration::from_micros(500);

/// A job above holds up other connections.
const HELD_UP: Duration = Duration::from_millis(1);

/// How many short jobs make a mount short.
const ENOUGH: u32 = 64;

/// The credit stops here, so that a mount that turns slow is found out after a few jobs.
const MOST_CREDIT: u32 = 256;

/// What a job between the two costs, in short jobs.
const LONGER: u32 = 16;

/// The debt of a job that holds up others, in other jobs. Below it, a mount is short.
const DEBT: u32 = 1000;
const MOST_DEBT: u32 = 100 * DEBT;

/// The run times of one mount. Updates may race: a lost one changes the decision by one job.
#[derive(Debug, Default)]
pub(crate) struct RunTimes {
    short: Credit,
    #[cfg(feature = "python")]
    brief: Credit,
    debt: AtomicU32,
    /// The jobs count as short, whatever they take: for tests, which must not depend on time.
    is_assumed: bool,
    #[cfg(feature = "python")]
    condition: OnceLock<Condition>,
}

/// When a thread may run a job of a mount where it was read.
#[cfg(feature = "python")]
#[derive(Debug)]
struct Condition {
    holds: fn() -> bool,
    jobs_take_turns: bool,
}

/// How many jobs in a row were below a limit, about.
#[derive(Debug, Default)]
struct Credit(AtomicU32);

impl Credit {
    fn add(&self, is_below: bool) {
        let credit = self.0.load(Ordering::Relaxed);
        let new = if is_below { (credit + 1).min(MOST_CREDIT) } else { credit.saturating_sub(LONGER) };
        // Written only if it changes: the cache line of a steady mount stays shared.
        if new != credit {
            self.0.store(new, Ordering::Relaxed);
        }
    }

    fn is_enough(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ENOUGH
    }
}

impl RunTimes {
    /// Jobs that count as short.
    pub(crate) fn assumed() -> Self {
        Self { is_assumed: true, ..Self::default() }
    }

    /// A job of the mount runs where it was read only if the thread that has read it finds this true. Set once.
    #[cfg(feature = "python")]
    pub(crate) fn run_here_if(&self, holds: fn() -> bool, jobs_take_turns: bool) {
        let _ = self.condition.set(Condition { holds, jobs_take_turns });
    }

    /// Whether this thread may run the next job where it was read: the job is likely to be short. `is_alone`: no other
    /// connection waits for this thread.
    #[cfg_attr(not(feature = "python"), allow(unused_variables, reason = "for jobs that take turns"))]
    pub(crate) fn may_run_here(&self, is_alone: impl FnOnce() -> bool) -> bool {
        #[cfg(feature = "python")]
        if let Some(Condition { holds, jobs_take_turns }) = self.condition.get() {
            return holds() && (self.are_short() || *jobs_take_turns && self.are_below(&self.brief) && is_alone());
        }
        self.are_short()
    }

    /// Whether the next job is likely to be short.
    fn are_short(&self) -> bool {
        self.is_assumed || self.are_below(&self.short)
    }

    /// Whether the next job is likely to be below a limit, and not to hold up others.
    fn are_below(&self, limit: &Credit) -> bool {
        limit.is_enough() && self.debt.load(Ordering::Relaxed) < DEBT
    }

    /// A job has taken this long.
    pub(crate) fn add(&self, took: Duration) {
        self.short.add(took <= SHORT);
        #[cfg(feature = "python")]
        self.brief.add(took <= BRIEF);
        let debt = self.debt.load(Ordering::Relaxed);
        let new_debt = if took > HELD_UP { (debt + DEBT).min(MOST_DEBT) } else { debt.saturating_sub(1) };
        if new_debt != debt {
            self.debt.store(new_debt, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(5);
    const SLEEP: Duration = Duration::from_millis(10);

    /// The decisions before each job of a sequence, as the share of jobs that would run where they were read.
    fn share(jobs: impl Iterator<Item = Duration>) -> f64 {
        let times = RunTimes::default();
        let (mut here, mut all) = (0_u32, 0_u32);
        for took in jobs {
            here += u32::from(times.are_short());
            all += 1;
            times.add(took);
        }
        f64::from(here) / f64::from(all)
    }

    #[test]
    fn short_jobs_run_where_they_were_read_and_others_do_not() {
        let every = |nth: usize| (0..100_000).map(move |job| if job % nth == nth - 1 { SLEEP } else { FAST });
        assert!(share(std::iter::repeat_n(FAST, 100_000)) > 0.999);
        assert!(share(every(10_000)) > 0.99);
        assert!(share(every(100)) < 0.02);
        assert!(share(every(10)) < 0.01);
        assert_eq!(share(std::iter::repeat_n(Duration::from_micros(300), 1000)), 0.0);
        assert_eq!(share(std::iter::repeat_n(SLEEP, 1000)), 0.0);
    }

    #[test]
    #[cfg(feature = "python")]
    fn longer_jobs_that_take_turns_run_where_they_were_read_while_no_connection_waits() {
        let after = |took: Duration, take_turns: bool| {
            let times = RunTimes::default();
            times.run_here_if(|| true, take_turns);
            (0..1000).for_each(|_| times.add(took));
            [times.may_run_here(|| true), times.may_run_here(|| false)]
        };
        let longer = Duration::from_micros(300);
        assert_eq!(after(longer, true), [true, false]);
        assert_eq!(after(longer, false), [false, false]);
        assert_eq!(after(Duration::from_micros(700), true), [false, false]);
        assert_eq!(after(SLEEP, true), [false, false]);
        assert_eq!(after(FAST, true), [true, true]);
        // Under a condition that does not hold, none does.
        let times = RunTimes::default();
        times.run_here_if(|| false, true);
        (0..1000).for_each(|_| times.add(FAST));
        assert!(!times.may_run_here(|| true));
        // One job that holds up others is one too many at first.
        let times = RunTimes::default();
        times.run_here_if(|| true, true);
        (0..1000).for_each(|_| times.add(longer));
        times.add(SLEEP);
        assert!(!times.may_run_here(|| true));
    }

    #[test]
    fn a_mount_that_turns_slow_is_found_out_after_a_few_jobs() {
        let times = RunTimes::default();
        (0..1000).for_each(|_| times.add(FAST));
        assert!(times.are_short());
        times.add(SLEEP);
        assert!(!times.are_short());
    }
}
