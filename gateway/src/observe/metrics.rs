//! Figures for the `metrics` facade, with the feature of that name.
//!
//! Threads: any.

#[cfg(feature = "metrics")]
use std::collections::HashMap;
#[cfg(feature = "metrics")]
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Key, Label, Metadata};

#[cfg(feature = "metrics")]
use crate::catch_panic::catch_panic;
use crate::observe::outcome::RequestOutcome;

/// Whether figures are recorded at all.
pub(crate) const WANTED: bool = cfg!(feature = "metrics");

/// The figures of a mount.
#[derive(Debug)]
pub(crate) struct Figures {
    #[cfg(feature = "metrics")]
    mount: Label,
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
    #[cfg(feature = "metrics")]
    keys: Arc<Keys>,
}

/// The keys of a mount and a route. Built once, not for each request.
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
        let mount = Label::new("mount", mount.to_owned());
        Self { unrouted: Arc::new(Keys::new(vec![mount.clone()])), mount, routes: RwLock::default() }
    }

    /// The figures of a request by this route.
    pub(crate) fn of_route(&self, route: Option<&str>) -> RequestFigures {
        let keys = route.map_or_else(|| Arc::clone(&self.unrouted), |route| self.keys_of(route));
        RequestFigures { keys }
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
        let requests = RequestOutcome::ALL.map(|outcome| {
            let labels = labels.iter().cloned().chain([Label::from_static_parts("outcome", outcome.label())]);
            Key::from_parts("gateway_requests_total", labels.collect::<Vec<_>>())
        });
        Self {
            requests,
            bytes: key("gateway_response_bytes_total"),
            seconds: key("gateway_request_seconds"),
            waits: key("gateway_queue_wait_seconds"),
            runs: key("gateway_run_seconds"),
        }
    }
}

#[cfg(feature = "metrics")]
impl RequestFigures {
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

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn of_route(&self, _: Option<&str>) -> RequestFigures {
        RequestFigures {}
    }
}

#[cfg(not(feature = "metrics"))]
impl RequestFigures {
    pub(crate) fn request(&self, _: RequestOutcome, _: u64, _: Duration) {}

    pub(crate) fn job(&self, _: Duration, _: Duration) {}
}
