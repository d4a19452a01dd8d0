//! Figures for the `metrics` facade, with the feature of that name.
//!
//! Threads: any.

use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Key, Label, Metadata};

#[cfg(feature = "metrics")]
use crate::catch_panic::catch_panic;
use crate::observe::outcome::RequestOutcome;

/// Whether figures are recorded at all.
pub(crate) const WANTED: bool = cfg!(feature = "metrics");

/// The figures of a mount. Their keys are built once, not for each request.
#[derive(Debug)]
pub(crate) struct Figures {
    #[cfg(feature = "metrics")]
    keys: Keys,
}

#[cfg(feature = "metrics")]
#[derive(Debug)]
struct Keys {
    /// In the order of [`RequestOutcome::ALL`].
    requests: [Key; RequestOutcome::ALL.len()],
    bytes: Key,
    seconds: Key,
    waits: Key,
    runs: Key,
}

#[cfg(feature = "metrics")]
pub(crate) static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

#[cfg(feature = "metrics")]
impl Figures {
    pub(crate) fn of(mount: &str) -> Self {
        let label = || Label::new("mount", mount.to_owned());
        let key = |name: &'static str| Key::from_parts(name, vec![label()]);
        let ended = |outcome: RequestOutcome| vec![label(), Label::from_static_parts("outcome", outcome.label())];
        Self {
            keys: Keys {
                requests: RequestOutcome::ALL.map(|outcome| Key::from_parts("gateway_requests_total", ended(outcome))),
                bytes: key("gateway_response_bytes_total"),
                seconds: key("gateway_request_seconds"),
                waits: key("gateway_queue_wait_seconds"),
                runs: key("gateway_run_seconds"),
            },
        }
    }

    /// Records the end of a request.
    pub(crate) fn request(&self, outcome: RequestOutcome, bytes: u64, took: Duration) {
        // Each in its own call, so that a panic of the recorder costs one figure only.
        with_recorder(|recorder| {
            let ended = RequestOutcome::ALL.iter().zip(&self.keys.requests).find(|(known, _)| **known == outcome);
            if let Some((_, key)) = ended {
                recorder.register_counter(key, &METADATA).increment(1);
            }
        });
        with_recorder(|recorder| recorder.register_counter(&self.keys.bytes, &METADATA).increment(bytes));
        with_recorder(|recorder| recorder.register_histogram(&self.keys.seconds, &METADATA).record(took));
    }

    /// Records that an application has run, after a wait.
    pub(crate) fn job(&self, waited: Duration, ran: Duration) {
        with_recorder(|recorder| recorder.register_histogram(&self.keys.waits, &METADATA).record(waited));
        with_recorder(|recorder| recorder.register_histogram(&self.keys.runs, &METADATA).record(ran));
    }
}

/// Calls the recorder and catches its panic, which must not fail the request.
#[cfg(feature = "metrics")]
pub(crate) fn with_recorder(record: impl FnOnce(&dyn metrics::Recorder)) {
    let _ = catch_panic(|| metrics::with_recorder(|recorder| record(recorder)));
}

#[cfg(not(feature = "metrics"))]
impl Figures {
    pub(crate) fn of(_: &str) -> Self {
        Self {}
    }

    pub(crate) fn request(&self, _: RequestOutcome, _: u64, _: Duration) {}

    pub(crate) fn job(&self, _: Duration, _: Duration) {}
}
