//! Figures for the `metrics` facade, with the feature of that name.
//!
//! Threads: any.

#[cfg(feature = "metrics")]
use std::collections::HashMap;
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::{Once, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
#[cfg(feature = "metrics")]
use metrics::{Key, Label, Metadata};

#[cfg(feature = "metrics")]
use crate::catch_panic::catch_panic;
#[cfg(feature = "metrics")]
use crate::observe::description::describe;
use crate::observe::mount_counts::MountCounts;
use crate::observe::outcome::RequestOutcome;

/// Whether figures are recorded at all.
pub(crate) const WANTED: bool = cfg!(feature = "metrics");

/// The figures of a mount.
#[derive(Debug)]
pub(crate) struct Figures {
    counts: Arc<MountCounts>,
    #[cfg(feature = "metrics")]
    mount: Label,
    #[cfg(feature = "metrics")]
    described: Once,
    /// The keys of requests without a route.
    #[cfg(feature = "metrics")]
    unrouted: Arc<Keys>,
    /// Routes are written in the program, so their number is bounded.
    #[cfg(feature = "metrics")]
    routes: RwLock<HashMap<String, Arc<Keys>>>,
}

/// The figures of a request.
#[derive(Debug)]
pub(crate) struct RequestFigures {
    counts: Arc<MountCounts>,
    #[cfg(feature = "metrics")]
    keys: Arc<Keys>,
}

/// Classes of statuses: the first digit, or 0 if there was no response.
#[cfg(feature = "metrics")]
const CLASSES: [&str; 10] = ["", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"];

/// The keys of a mount and a route. Built once, not for each request.
#[cfg(feature = "metrics")]
#[derive(Debug)]
struct Keys {
    labels: Vec<Label>,
    /// By outcome and by class of the status. Most never occur.
    requests: [[OnceLock<Box<Key>>; CLASSES.len()]; RequestOutcome::COUNT],
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
        let counts = Arc::new(MountCounts::new(mount));
        let mount = Label::new("mount", mount.to_owned());
        Self {
            counts,
            described: Once::new(),
            unrouted: Arc::new(Keys::new(vec![mount.clone()])),
            mount,
            routes: RwLock::default(),
        }
    }

    /// The figures of a request by this route.
    pub(crate) fn of_route(&self, route: Option<&str>) -> RequestFigures {
        self.described.call_once(describe);
        let keys = route.map_or_else(|| Arc::clone(&self.unrouted), |route| self.keys_of(route));
        RequestFigures { counts: Arc::clone(&self.counts), keys }
    }

    fn keys_of(&self, route: &str) -> Arc<Keys> {
        if let Some(keys) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return Arc::clone(keys);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let keys = routes
            .entry(route.to_owned())
            .or_insert_with(|| Arc::new(Keys::new(vec![self.mount.clone(), Label::new("route", route.to_owned())])));
        Arc::clone(keys)
    }
}

#[cfg(feature = "metrics")]
impl Keys {
    fn new(labels: Vec<Label>) -> Self {
        let key = |name: &'static str| Key::from_parts(name, labels.clone());
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            bytes: key("gateway_response_bytes_total"),
            seconds: key("gateway_request_seconds"),
            waits: key("gateway_queue_wait_seconds"),
            runs: key("gateway_run_seconds"),
            labels,
        }
    }

    fn ended(&self, outcome: RequestOutcome, status: Option<StatusCode>) -> &Key {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        self.requests[outcome as usize][class].get_or_init(|| {
            let mut labels = self.labels.clone();
            labels.push(Label::from_static_parts("outcome", outcome.label()));
            if class > 0 {
                labels.push(Label::from_static_parts("status", CLASSES[class]));
            }
            Box::new(Key::from_parts("gateway_requests_total", labels))
        })
    }
}

#[cfg(feature = "metrics")]
impl RequestFigures {
    /// Records the end of a request.
    pub(crate) fn request(&self, outcome: RequestOutcome, status: Option<StatusCode>, bytes: u64, took: Duration) {
        self.counts.count(outcome);
        // Each in its own call, so that a panic of the recorder costs one figure only.
        with_recorder(|recorder| {
            recorder.register_counter(self.keys.ended(outcome, status), &METADATA).increment(1);
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

impl Figures {
    /// The counts of the mount.
    pub(crate) fn counts(&self) -> &Arc<MountCounts> {
        &self.counts
    }
}

/// Calls the recorder and catches its panic, which must not fail the request.
#[cfg(feature = "metrics")]
pub(crate) fn with_recorder(record: impl FnOnce(&dyn metrics::Recorder)) {
    let _ = catch_panic(|| metrics::with_recorder(|recorder| record(recorder)));
}

#[cfg(not(feature = "metrics"))]
impl Figures {
    pub(crate) fn of(mount: &str) -> Self {
        Self { counts: Arc::new(MountCounts::new(mount)) }
    }

    pub(crate) fn of_route(&self, _: Option<&str>) -> RequestFigures {
        RequestFigures { counts: Arc::clone(&self.counts) }
    }
}

#[cfg(not(feature = "metrics"))]
impl RequestFigures {
    pub(crate) fn request(&self, outcome: RequestOutcome, _: Option<StatusCode>, _: u64, _: Duration) {
        self.counts.count(outcome);
    }

    pub(crate) fn job(&self, _: Duration, _: Duration) {}
}
