//! Figures for the `metrics` facade, if the feature of that name is on.

use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Key, Label, Metadata};

use crate::response::Outcome;
#[cfg(feature = "metrics")]
use crate::worker::fence;

/// Whether figures are kept at all.
pub(crate) const WANTED: bool = cfg!(feature = "metrics");

/// The figures of a mount. Their keys are put together once, and not for each request.
#[derive(Debug)]
pub(crate) struct Figures {
    #[cfg(feature = "metrics")]
    keys: Keys,
}

#[cfg(feature = "metrics")]
#[derive(Debug)]
struct Keys {
    /// In the order of [`Outcome::ALL`].
    requests: [Key; Outcome::ALL.len()],
    bytes: Key,
    seconds: Key,
    waits: Key,
    runs: Key,
}

#[cfg(feature = "metrics")]
static METADATA: Metadata<'static> = Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

#[cfg(feature = "metrics")]
impl Figures {
    pub(crate) fn of(mount: &str) -> Self {
        let label = || Label::new("mount", mount.to_owned());
        let key = |name: &'static str| Key::from_parts(name, vec![label()]);
        let ended = |outcome: Outcome| vec![label(), Label::from_static_parts("outcome", outcome.label())];
        Self {
            keys: Keys {
                requests: Outcome::ALL.map(|outcome| Key::from_parts("gateway_requests_total", ended(outcome))),
                bytes: key("gateway_response_bytes_total"),
                seconds: key("gateway_request_seconds"),
                waits: key("gateway_queue_wait_seconds"),
                runs: key("gateway_run_seconds"),
            },
        }
    }

    /// A request is over.
    pub(crate) fn request(&self, outcome: Outcome, bytes: u64, took: Duration) {
        // Each by itself, so that a recorder that panics costs the figure that it panics at.
        with_recorder(|recorder| {
            let ended = Outcome::ALL.iter().zip(&self.keys.requests).find(|(known, _)| **known == outcome);
            if let Some((_, key)) = ended {
                recorder.register_counter(key, &METADATA).increment(1);
            }
        });
        with_recorder(|recorder| recorder.register_counter(&self.keys.bytes, &METADATA).increment(bytes));
        with_recorder(|recorder| recorder.register_histogram(&self.keys.seconds, &METADATA).record(took));
    }

    /// An application has run, after a wait.
    pub(crate) fn job(&self, waited: Duration, ran: Duration) {
        with_recorder(|recorder| recorder.register_histogram(&self.keys.waits, &METADATA).record(waited));
        with_recorder(|recorder| recorder.register_histogram(&self.keys.runs, &METADATA).record(ran));
    }
}

/// Calls the recorder, whose panic is no failure of the request.
#[cfg(feature = "metrics")]
fn with_recorder(tell: impl FnOnce(&dyn metrics::Recorder)) {
    let _ = fence(|| metrics::with_recorder(|recorder| tell(recorder)));
}

#[cfg(not(feature = "metrics"))]
impl Figures {
    pub(crate) fn of(_: &str) -> Self {
        Self {}
    }

    pub(crate) fn request(&self, _: Outcome, _: u64, _: Duration) {}

    pub(crate) fn job(&self, _: Duration, _: Duration) {}
}

#[cfg(feature = "metrics")]
impl crate::Pool {
    /// Tells the `metrics` recorder how the pool is doing. Call it before the figures are read, in the handler that shows them.
    ///
    /// | metric, by `pool` | kind | what |
    /// |---|---|---|
    /// | `gateway_pool_threads`, by `state`: `busy`, `idle` | gauge | threads |
    /// | `gateway_pool_threads_stuck`, `…_orphaned` | gauge | busy threads whose job has run for too long, whose client has gone |
    /// | `gateway_pool_threads_max`, `…_reserved` | gauge | the most threads, and those kept for shares |
    /// | `gateway_pool_queue_depth`, `…_queue_limit` | gauge | requests that wait, and how many may |
    /// | `gateway_pool_jobs_total` | counter | jobs that have ended |
    /// | `gateway_pool_shed_total`, `…_expired_total`, `…_cancelled_total` | counter | requests that never ran, by reason |
    /// | `gateway_pool_would_have_shed_total` | counter | requests let in without room, with [`Overload::Report`](crate::Overload::Report) |
    ///
    /// Each request tells of itself, by `mount`:
    ///
    /// | metric | kind | what |
    /// |---|---|---|
    /// | `gateway_requests_total`, also by `outcome` | counter | requests that are over; the outcomes are those of the [access record](crate::Gateway#the-log) |
    /// | `gateway_response_bytes_total` | counter | bytes of bodies that were sent |
    /// | `gateway_request_seconds` | histogram | from the call to the end of the response |
    /// | `gateway_queue_wait_seconds` | histogram | from the hand-over to the call of the application |
    /// | `gateway_run_seconds` | histogram | from the call of the application to its end |
    pub fn publish_metrics(&self) {
        let stats = self.stats();
        let pool = || Label::new("pool", self.name().to_owned());
        let state = |state| vec![pool(), Label::from_static_parts("state", state)];
        #[expect(clippy::cast_precision_loss, reason = "nobody has that many threads")]
        let gauge = |name: &'static str, labels: Vec<Label>, value: usize| {
            let key = Key::from_parts(name, labels);
            with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value as f64));
        };
        let counter = |name: &'static str, value: u64| {
            let key = Key::from_parts(name, vec![pool()]);
            with_recorder(|recorder| recorder.register_counter(&key, &METADATA).absolute(value));
        };
        gauge("gateway_pool_threads", state("busy"), stats.busy);
        gauge("gateway_pool_threads", state("idle"), stats.idle);
        gauge("gateway_pool_threads_stuck", vec![pool()], stats.stuck);
        gauge("gateway_pool_threads_orphaned", vec![pool()], stats.orphaned);
        gauge("gateway_pool_threads_max", vec![pool()], stats.max_threads);
        gauge("gateway_pool_threads_reserved", vec![pool()], stats.reserved);
        gauge("gateway_pool_queue_depth", vec![pool()], stats.queued);
        gauge("gateway_pool_queue_limit", vec![pool()], stats.queue_limit);
        counter("gateway_pool_jobs_total", stats.completed);
        counter("gateway_pool_shed_total", stats.shed);
        counter("gateway_pool_expired_total", stats.expired);
        counter("gateway_pool_cancelled_total", stats.cancelled);
        counter("gateway_pool_would_have_shed_total", stats.would_have_shed);
    }
}
