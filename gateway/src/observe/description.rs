//! What each metric means, for exporters: Prometheus' `# HELP`.
//!
//! Threads: any.

use metrics::{KeyName, Recorder, SharedString, Unit};

use crate::observe::metrics::with_recorder;

type Describe = fn(&dyn Recorder, KeyName, Option<Unit>, SharedString);

const COUNTER: Describe = |recorder, name, unit, text| recorder.describe_counter(name, unit, text);
const GAUGE: Describe = |recorder, name, unit, text| recorder.describe_gauge(name, unit, text);
const HISTOGRAM: Describe = |recorder, name, unit, text| recorder.describe_histogram(name, unit, text);

#[rustfmt::skip]
const METRICS: [(Describe, &str, &str); 19] = [
    (COUNTER, "gateway_requests_total", "Requests that have ended, by how and by the class of their status."),
    (COUNTER, "gateway_response_bytes_total", "Bytes of response bodies that were sent."),
    (HISTOGRAM, "gateway_request_seconds", "Time from the call of the gateway to the end of the response."),
    (HISTOGRAM, "gateway_queue_wait_seconds", "Time from the dispatch to the pool to the call of the application."),
    (HISTOGRAM, "gateway_run_seconds", "Time from the call of the application to its end."),
    (GAUGE, "gateway_pool_threads", "Threads of the pool, by state."),
    (GAUGE, "gateway_pool_threads_stuck", "Busy threads whose job has run for too long."),
    (GAUGE, "gateway_pool_threads_orphaned", "Busy threads whose client has gone."),
    (GAUGE, "gateway_pool_threads_max", "The maximum number of threads."),
    (GAUGE, "gateway_pool_threads_reserved", "Threads that are reserved for shares."),
    (GAUGE, "gateway_pool_queue_depth", "Queued requests."),
    (GAUGE, "gateway_pool_queue_limit", "How many requests may be queued."),
    (COUNTER, "gateway_pool_jobs_total", "Requests that have run, with or without success."),
    (COUNTER, "gateway_pool_shed_total", "Requests that found no room, or were queued when the pool gave up."),
    (COUNTER, "gateway_pool_expired_total", "Requests that were queued for too long, and never ran."),
    (COUNTER, "gateway_pool_cancelled_total", "Requests whose clients disconnected before a thread took them."),
    (COUNTER, "gateway_pool_would_have_shed_total", "Requests that found no room and were admitted all the same."),
    (COUNTER, "gateway_pool_driven_total", "Requests that ran on the thread that had read them."),
    (COUNTER, "gateway_pool_held_drivers_total", "Drivers of connections that a job held for a millisecond."),
];

/// Describes all metrics to the recorder.
pub(crate) fn describe() {
    with_recorder(|recorder| {
        // Without units, which some exporters append to the names.
        for (describe, name, text) in METRICS {
            describe(recorder, KeyName::from_const_str(name), None, SharedString::const_str(text));
        }
    });
}
