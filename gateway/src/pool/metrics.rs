//! What the `metrics` facade is told of a pool.
//!
//! Threads: any; takes the lock of the queue for a moment.

use metrics::{Key, Label};

use crate::observe::description::describe;
use crate::observe::metrics::{METADATA, with_recorder};
use crate::pool::Pool;

impl Pool {
    /// Passes the figures of the pool to the `metrics` recorder. Call it in the handler that shows the metrics, before
    /// it reads them.
    ///
    /// | metric, by `pool` | kind | what |
    /// |---|---|---|
    /// | `gateway_pool_threads`, by `state`: `busy`, `idle` | gauge | threads |
    /// | `gateway_pool_threads_stuck`, `…_orphaned` | gauge | busy threads whose job has run for too long; busy threads whose client has gone |
    /// | `gateway_pool_threads_max`, `…_reserved` | gauge | the maximum of threads; threads reserved for shares |
    /// | `gateway_pool_queue_depth`, `…_queue_limit` | gauge | queued requests; how many may be queued |
    /// | `gateway_pool_jobs_total` | counter | jobs that have ended |
    /// | `gateway_pool_shed_total`, `…_expired_total`, `…_cancelled_total` | counter | requests that never ran, by reason |
    /// | `gateway_pool_would_have_shed_total` | counter | requests admitted without room, with [`Overload::Report`](crate::Overload::Report) |
    /// | `gateway_pool_driven_total` | counter | requests that ran on the [driver](crate::PoolBuilder::drivers) that had read them |
    /// | `gateway_pool_held_drivers_total` | counter | drivers that a job held for a millisecond |
    ///
    /// Each request records these itself, by `mount`, and by `route` if it came by a route of axum's router:
    ///
    /// | metric | kind | what |
    /// |---|---|---|
    /// | `gateway_requests_total`, also by `outcome`, and by `status` (`2xx` and so on) if there was a response | counter | requests that have ended; the outcomes are those of the [access record](crate::Gateway#the-log) |
    /// | `gateway_response_bytes_total` | counter | bytes of bodies that were sent |
    /// | `gateway_request_seconds` | histogram | from the call to the end of the response |
    /// | `gateway_queue_wait_seconds` | histogram | from the hand-over to the call of the application |
    /// | `gateway_run_seconds` | histogram | from the call of the application to its end |
    pub fn publish_metrics(&self) {
        self.core.described.call_once(describe);
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
        counter("gateway_pool_driven_total", stats.driven);
        counter("gateway_pool_held_drivers_total", stats.held_drivers);
    }
}
