//! How much of its time at jobs a thread computes.
//!
//! Threads: pool.

use std::time::{Duration, Instant};

/// A thread's own record, and for the thread itself.
#[derive(Debug, Default)]
pub(crate) struct CpuTime {
    /// When the job at hand was taken.
    since: Option<Instant>,
    at_jobs: Duration,
    /// What the system had counted when it was last asked.
    counted: Times,
}

/// What the system counts for a thread.
#[derive(Debug, Default, Clone, Copy)]
struct Times {
    /// For how long it has had a processor.
    had: Duration,
    /// And for how long it has waited for one.
    waited: Duration,
}

/// After so much time at jobs it is worth asking for the processor time, which takes some microseconds.
const ENOUGH: Duration = Duration::from_millis(200);

impl CpuTime {
    /// The thread takes a job.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The thread is done with its job, if it has one. Says for what part of its time at jobs it had a processor, once
    /// in a while, and where the system tells.
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
        // One that is kept from computing does not block.
        let is_kept = had + waited > at_jobs / 2;
        // Some of it may have been between jobs.
        Some(if is_kept { 1.0 } else { had.as_secs_f64() / at_jobs.as_secs_f64() })
    }
}

impl Times {
    /// `None` if the system does not tell, as elsewhere than on Linux, and in a model, where there are no clocks.
    fn of_this_thread() -> Option<Self> {
        if cfg!(gateway_loom) {
            return None;
        }
        // Opened each time: pools have many threads, and programs not that many files.
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut times = text.split_ascii_whitespace().map(|time| time.parse().ok().map(Duration::from_nanos));
        let (had, waited) = (times.next()??, times.next()??);
        // Whoever asks has had a processor, and after its first jobs the system knows: one that counts nothing has
        // zeros there.
        (!had.is_zero()).then_some(Self { had, waited })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A job that takes so long, of which it computes so much, at least.
    fn job(cpu_time: &mut CpuTime, takes: Duration, computes: Duration) -> Option<f64> {
        // The system counts now and then, and has not begun at first.
        let had = || Times::of_this_thread().unwrap_or_default().had;
        let start = Instant::now();
        cpu_time.begins(start);
        let begun = had();
        while had() < begun + computes {}
        cpu_time.ends(start + takes)
    }

    #[test]
    fn a_meter_tells_what_was_computed_in_the_meantime_once_enough_has_come_together() {
        const LONG: Duration = Duration::from_secs(1000);
        const SOME: Duration = Duration::from_millis(20);
        let mut cpu_time = CpuTime::default();
        assert_eq!(cpu_time.ends(Instant::now()), None);
        assert_eq!(job(&mut cpu_time, ENOUGH / 2, SOME), None);
        // Both jobs.
        let first = job(&mut cpu_time, LONG, SOME).unwrap() * LONG.as_secs_f64();
        let second = job(&mut cpu_time, LONG, SOME).unwrap() * LONG.as_secs_f64();
        assert!(first >= SOME.as_secs_f64() * 1.9 && second >= SOME.as_secs_f64() * 0.9, "{first} {second}");
        // Nothing is told twice.
        let all = Times::of_this_thread().unwrap().had.as_secs_f64();
        assert!(first + second <= all * 1.1, "{first} {second} {all}");
    }

    /// And no more than all of it, whatever it did between two jobs.
    #[test]
    fn a_thread_that_computes_all_the_time_says_so() {
        let mut cpu_time = CpuTime::default();
        assert_eq!(job(&mut cpu_time, ENOUGH, ENOUGH), Some(1.0));
    }
}
