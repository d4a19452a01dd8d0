//! Figures for the `metrics` facade, if the feature of that name is on.

use std::sync::Arc;
use std::time::Duration;

use crate::response::Outcome;

/// Whether figures are kept at all.
pub(crate) const WANTED: bool = cfg!(feature = "metrics");

/// A request is over.
#[cfg(feature = "metrics")]
pub(crate) fn request(mount: &Arc<str>, outcome: Outcome, bytes: u64, took: Duration) {
    let mount = metrics::SharedString::from(Arc::clone(mount));
    metrics::counter!("gateway_requests_total", "mount" => mount.clone(), "outcome" => outcome.label()).increment(1);
    metrics::counter!("gateway_response_bytes_total", "mount" => mount.clone()).increment(bytes);
    metrics::histogram!("gateway_request_seconds", "mount" => mount).record(took);
}

/// An application has run, after a wait.
#[cfg(feature = "metrics")]
pub(crate) fn job(mount: &Arc<str>, waited: Duration, ran: Duration) {
    let mount = metrics::SharedString::from(Arc::clone(mount));
    metrics::histogram!("gateway_queue_wait_seconds", "mount" => mount.clone()).record(waited);
    metrics::histogram!("gateway_run_seconds", "mount" => mount).record(ran);
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn request(_: &Arc<str>, _: Outcome, _: u64, _: Duration) {}

#[cfg(not(feature = "metrics"))]
pub(crate) fn job(_: &Arc<str>, _: Duration, _: Duration) {}

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
    /// | `gateway_pool_shed_total`, `…_expired_total`, `…_cancelled_total`, `…_would_have_shed_total` | counter | requests that never ran, by reason |
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
        #[expect(clippy::cast_precision_loss, reason = "nobody has that many threads")]
        fn gauge(gauge: &metrics::Gauge, value: usize) {
            gauge.set(value as f64);
        }
        let stats = self.stats();
        let pool = metrics::SharedString::from(self.name().to_owned());
        gauge(&metrics::gauge!("gateway_pool_threads", "pool" => pool.clone(), "state" => "busy"), stats.busy);
        gauge(&metrics::gauge!("gateway_pool_threads", "pool" => pool.clone(), "state" => "idle"), stats.idle);
        gauge(&metrics::gauge!("gateway_pool_threads_stuck", "pool" => pool.clone()), stats.stuck);
        gauge(&metrics::gauge!("gateway_pool_threads_orphaned", "pool" => pool.clone()), stats.orphaned);
        gauge(&metrics::gauge!("gateway_pool_threads_max", "pool" => pool.clone()), stats.max_threads);
        gauge(&metrics::gauge!("gateway_pool_threads_reserved", "pool" => pool.clone()), stats.reserved);
        gauge(&metrics::gauge!("gateway_pool_queue_depth", "pool" => pool.clone()), stats.queued);
        gauge(&metrics::gauge!("gateway_pool_queue_limit", "pool" => pool.clone()), stats.queue_limit);
        metrics::counter!("gateway_pool_jobs_total", "pool" => pool.clone()).absolute(stats.completed);
        metrics::counter!("gateway_pool_shed_total", "pool" => pool.clone()).absolute(stats.shed);
        metrics::counter!("gateway_pool_expired_total", "pool" => pool.clone()).absolute(stats.expired);
        metrics::counter!("gateway_pool_cancelled_total", "pool" => pool.clone()).absolute(stats.cancelled);
        metrics::counter!("gateway_pool_would_have_shed_total", "pool" => pool).absolute(stats.would_have_shed);
    }
}
