//! How much of its time at jobs a thread computes.

use std::time::{Duration, Instant};

/// A thread's own record, and for the thread itself.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// When the job at hand was taken.
    since: Option<Instant>,
    at_jobs: Duration,
    /// The thread's processor time when it was last asked for.
    processor: Duration,
}

/// What a thread did with its time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) at_jobs: Duration,
    /// In which it had a processor.
    pub(crate) computing: Duration,
}

/// After so much time at jobs it is worth asking for the processor time, which takes some microseconds.
const ENOUGH: Duration = Duration::from_millis(200);

impl Meter {
    /// The thread takes a job.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The thread is done with its job, if it has one. Says what it did with its time, once in a while, and where the system tells.
    pub(crate) fn ends(&mut self, now: Instant) -> Option<Usage> {
        self.at_jobs += now.saturating_duration_since(self.since.take()?);
        if self.at_jobs < ENOUGH {
            return None;
        }
        let at_jobs = std::mem::take(&mut self.at_jobs);
        let processor = processor_time()?;
        let computing = processor.saturating_sub(std::mem::replace(&mut self.processor, processor));
        Some(Usage { at_jobs, computing })
    }
}

/// For how long the thread that asks has had a processor. `None` if nobody knows, as elsewhere than on Linux, and in a model, where there
/// are no clocks.
fn processor_time() -> Option<Duration> {
    if cfg!(gateway_loom) {
        return None;
    }
    // Opened each time: pools have many threads, and programs not that many files.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_ascii_whitespace().next()?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A job that takes so long, of which it computes so much, at least.
    fn job(meter: &mut Meter, takes: Duration, computes: Duration) -> Option<Usage> {
        let start = Instant::now();
        meter.begins(start);
        let begun = processor_time().unwrap();
        while processor_time().unwrap() < begun + computes {}
        meter.ends(start + takes)
    }

    #[test]
    fn a_meter_tells_what_was_computed_in_the_meantime_once_enough_has_come_together() {
        const SOME: Duration = Duration::from_millis(20);
        let mut meter = Meter::default();
        assert_eq!(meter.ends(Instant::now()), None);
        assert_eq!(job(&mut meter, ENOUGH / 2, SOME), None);
        let first = job(&mut meter, ENOUGH / 2, SOME).unwrap();
        assert!(first.at_jobs == ENOUGH && first.computing >= SOME * 2, "{first:?}");
        let second = job(&mut meter, ENOUGH * 3, SOME).unwrap();
        assert!(second.at_jobs == ENOUGH * 3 && second.computing >= SOME, "{second:?}");
        let all = processor_time().unwrap();
        assert!(first.computing + second.computing <= all, "{first:?} {second:?} {all:?}");
    }
}
