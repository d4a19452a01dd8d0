//! The fraction of their run time for which jobs have a CPU.
//!
//! Threads: pool.

use std::time::{Duration, Instant};

/// The CPU time of one thread, measured by that thread.
#[derive(Debug, Default)]
pub(crate) struct CpuTime {
    /// When the current job was taken.
    since: Option<Instant>,
    at_jobs: Duration,
    /// The counters of the system at the last measurement.
    counted: Times,
}

/// The counters of the system for a thread.
#[derive(Debug, Default, Clone, Copy)]
struct Times {
    /// How long it has had a CPU.
    had: Duration,
    /// How long it has waited for a CPU.
    waited: Duration,
}

/// The run time of jobs between two measurements, each of which takes some microseconds.
const ENOUGH: Duration = Duration::from_millis(200);

impl CpuTime {
    /// From now on.
    pub(crate) fn of_this_thread() -> Self {
        Self { counted: Times::of_this_thread().unwrap_or_default(), ..Self::default() }
    }

    /// The thread takes a job.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The thread gives up its job, if it has one. At intervals, and if the system reports it, returns the fraction of
    /// the run time for which the thread had a CPU.
    pub(crate) fn ends(&mut self, now: Instant) -> Option<f64> {
        self.at_jobs += now.saturating_duration_since(self.since.take()?);
        if self.at_jobs < ENOUGH {
            return None;
        }
        let at_jobs = std::mem::take(&mut self.at_jobs);
        let counted = Times::of_this_thread()?;
        let before = std::mem::replace(&mut self.counted, counted);
        let had = counted.had.saturating_sub(before.had);
        let waited = counted.waited.saturating_sub(before.waited);
        // A thread that waits for a CPU does not block.
        let is_kept = had + waited > at_jobs / 2;
        // Approximate: `had` includes the time between jobs.
        Some(if is_kept { 1.0 } else { had.as_secs_f64() / at_jobs.as_secs_f64() })
    }
}

impl Times {
    /// `None` if the system does not report it, as outside Linux, and in loom models, which have no clock.
    fn of_this_thread() -> Option<Self> {
        if cfg!(gateway_loom) {
            return None;
        }
        // Opened each time: an open file for each thread could exhaust the limit of open files.
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut times = text.split_ascii_whitespace().map(|time| time.parse().ok().map(Duration::from_nanos));
        let (had, waited) = (times.next()??, times.next()??);
        // The calling thread has had a CPU: a zero means that the system does not count.
        (!had.is_zero()).then_some(Self { had, waited })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A job that takes `takes`, and computes for at least `computes`.
    fn job(cpu_time: &mut CpuTime, takes: Duration, computes: Duration) -> Option<f64> {
        // The system updates its counters at intervals; at first they may be 0.
        let had = || Times::of_this_thread().unwrap_or_default().had;
        let start = Instant::now();
        cpu_time.begins(start);
        let begun = had();
        while had() < begun + computes {}
        cpu_time.ends(start + takes)
    }

    #[test]
    fn the_fraction_is_reported_once_enough_run_time_has_passed() {
        const LONG: Duration = Duration::from_secs(1000);
        const SOME: Duration = Duration::from_millis(20);
        let mut cpu_time = CpuTime::default();
        assert_eq!(cpu_time.ends(Instant::now()), None);
        assert_eq!(job(&mut cpu_time, ENOUGH / 2, SOME), None);
        // Both jobs.
        let first = job(&mut cpu_time, LONG, SOME).unwrap() * LONG.as_secs_f64();
        let second = job(&mut cpu_time, LONG, SOME).unwrap() * LONG.as_secs_f64();
        assert!(first >= SOME.as_secs_f64() * 1.9 && second >= SOME.as_secs_f64() * 0.9, "{first} {second}");
        // No CPU time is reported twice.
        let all = Times::of_this_thread().unwrap().had.as_secs_f64();
        assert!(first + second <= all * 1.1, "{first} {second} {all}");
    }

    /// The fraction is at most 1, even if the thread computes between two jobs.
    #[test]
    fn the_fraction_of_a_thread_that_computes_is_one() {
        let mut cpu_time = CpuTime::default();
        assert_eq!(job(&mut cpu_time, ENOUGH, ENOUGH), Some(1.0));
    }
}
