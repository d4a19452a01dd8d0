//! The access record of a request.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::MatchedPath;
use http::StatusCode;

use crate::log::{self, Span};
use crate::observe::metrics::Figures;
use crate::observe::outcome::RequestOutcome;
use crate::observe::timing::Timing;
use crate::observe::{metrics, mount_counts};

/// The `gateway::access` event of a request, emitted when the request is over: when its future and its body have been
/// dropped.
///
/// *Sent* means handed over to the server. Whether the client's socket takes the bytes is not visible here.
#[derive(Debug)]
pub(crate) struct Access {
    span: Span,
    /// The route, if the span is disabled and does not have it.
    route: Option<MatchedPath>,
    timing: Arc<Timing>,
    begun: Instant,
    status: Option<StatusCode>,
    bytes: u64,
    /// The outcome once the whole response has been sent.
    completes_as: RequestOutcome,
    /// The outcome that was stated first. None is stated if the client disconnects.
    outcome: Option<RequestOutcome>,
}

impl Access {
    /// A record, if any consumer takes it.
    pub(crate) fn begin(span: &Span, figures: &Figures, route: Option<&MatchedPath>) -> Option<Box<Self>> {
        let is_read =
            metrics::WANTED || mount_counts::are_shown() || log::enabled!(target: "gateway::access", log::Level::INFO);
        is_read.then(|| {
            Box::new(Self {
                span: span.clone(),
                route: route.filter(|_| span.is_disabled()).cloned(),
                timing: Arc::new(Timing::new(figures.of_route(route.map(MatchedPath::as_str)))),
                begun: Instant::now(),
                status: None,
                bytes: 0,
                completes_as: RequestOutcome::Complete,
                outcome: None,
            })
        })
    }

    /// The part that the thread writes.
    pub(crate) fn timing(&self) -> Arc<Timing> {
        Arc::clone(&self.timing)
    }

    /// The request has a response.
    pub(crate) fn respond(&mut self, status: StatusCode, completes_as: RequestOutcome) {
        self.status = Some(status);
        self.completes_as = completes_as;
    }

    /// The body gives bytes to the server.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Nothing more is to be sent.
    pub(crate) fn complete(&mut self) {
        self.end(self.completes_as);
    }

    /// States how the request ended. Only the first outcome counts.
    pub(crate) fn end(&mut self, outcome: RequestOutcome) {
        self.outcome.get_or_insert(outcome);
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(RequestOutcome::ClientGone);
        let took = self.begun.elapsed();
        self.timing.figures().request(outcome, self.status, self.bytes, took);
        let status = self.status.map(|status| status.as_u16());
        let queue_ms = self.timing.waited().map(milliseconds);
        let run_ms = self.timing.ran().map(milliseconds);
        let outcome = outcome.label();
        log::info!(
            target: "gateway::access",
            parent: &self.span,
            route = self.route.as_ref().map(MatchedPath::as_str),
            status,
            bytes = self.bytes,
            duration_ms = milliseconds(took),
            queue_ms,
            run_ms,
            outcome = %outcome,
        );
        // After the event, whose line shows the fields of the span, too: no field is in it twice.
        self.span.record("status", status);
        self.span.record("bytes", self.bytes);
        self.span.record("outcome", log::display(outcome));
        self.span.record("queue_ms", queue_ms);
        self.span.record("run_ms", run_ms);
    }
}

/// Rounded to microseconds.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
