//! The drain of a server.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::Pool;
use crate::connection_context::ServerStage;
use crate::serve::ShutdownReport;
use crate::serve::connection_set::ConnectionSet;

/// The longest wait after the grace, so that the server has stopped within a second; and the part of it in which the
/// 503s of queued requests are sent.
const POOL_GRACE: Duration = Duration::from_millis(800);
const CUT_GRACE: Duration = Duration::from_millis(250);

/// The grace period of a drain.
pub(super) enum Grace {
    /// Until this instant, or until the immediate shutdown is requested.
    Until(Instant, Pin<Box<dyn Future<Output = ()> + Send>>),
    Over,
}

impl Grace {
    /// Waits until it is over. Cancel safe; may be called again.
    async fn over(&mut self) {
        if let Self::Until(deadline, immediate) = self {
            let _ = timeout_at(*deadline, immediate.as_mut()).await;
            // A future must not be polled after it was ready.
            *self = Self::Over;
        }
    }
}

/// Lets the connections and the pools finish; cuts them when the grace is over.
pub(super) async fn drain(mut connections: ConnectionSet<'_>, pools: &[Pool], mut grace: Grace) -> ShutdownReport {
    let mut report = ShutdownReport::default();
    pools.iter().for_each(Pool::begin_drain);
    connections.set_stage(ServerStage::Draining);
    let is_done = tokio::select! {
        biased;
        () = connections.all_ended() => true,
        () = grace.over() => false,
    };
    if is_done {
        // Closed only now: a connection that drains may still add a job. Jobs that still run have no connection any
        // more, but may finish in the grace.
        pools.iter().for_each(Pool::close);
        let no_longer = async {
            sleep(POOL_GRACE).await;
            grace.over().await;
        };
        tokio::select! {
            biased;
            () = shutdown(pools) => {}
            () = no_longer => report.running = running(pools),
        }
        return report;
    }
    // Before `give_up`: a job that ends because of it was still running at the end of the grace.
    report.running = running(pools);
    pools.iter().for_each(Pool::give_up);
    let _ = timeout(POOL_GRACE, async {
        let _ = timeout(CUT_GRACE, connections.all_ended()).await;
        connections.set_stage(ServerStage::Cut);
        connections.all_ended().await;
        shutdown(pools).await;
    })
    .await;
    // The tasks that have not ended are blocked.
    report.connections_cut = connections.cut() + connections.len();
    report
}

fn running(pools: &[Pool]) -> Vec<crate::RunningJob> {
    pools.iter().flat_map(Pool::running).collect()
}

/// Waits for the threads of all pools. Sequentially, because the pools end concurrently.
async fn shutdown(pools: &[Pool]) {
    for pool in pools {
        pool.shutdown().await;
    }
}
