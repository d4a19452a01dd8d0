//! The end of a server.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::Pool;
use crate::serve::ShutdownReport;
use crate::serve::connections::Connections;

/// How long the server waits after the grace at most, so that it has stopped within a second; and the part of that time
/// in which the 503s of requests that never ran are sent.
const POOL_GRACE: Duration = Duration::from_millis(800);
const CUT_GRACE: Duration = Duration::from_millis(250);

/// The grace period of a drain.
pub(super) enum Grace {
    /// Until this instant, or until the immediate shutdown is requested.
    Until(Instant, Pin<Box<dyn Future<Output = ()> + Send>>),
    Over,
}

impl Grace {
    /// Waits until it is over. May be given up and called again.
    async fn over(&mut self) {
        if let Self::Until(deadline, urgent) = self {
            let _ = timeout_at(*deadline, urgent.as_mut()).await;
            // A future must not be polled again after it was ready.
            *self = Self::Over;
        }
    }
}

/// Lets the connections and the pools finish, and cuts them when the grace is over.
pub(super) async fn drain(mut connections: Connections, pools: &[Pool], mut grace: Grace) -> ShutdownReport {
    let mut report = ShutdownReport::default();
    pools.iter().for_each(Pool::begin_drain);
    let is_done = tokio::select! {
        biased;
        () = connections.drain() => true,
        () = grace.over() => false,
    };
    if is_done {
        // What still runs has lost its client, and may have something to finish all the same.
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
    report.running = running(pools);
    pools.iter().for_each(Pool::give_up);
    let _ = timeout(POOL_GRACE, async {
        let _ = timeout(CUT_GRACE, connections.drain()).await;
        connections.cut(&mut report.connections_cut).await;
        shutdown(pools).await;
    })
    .await;
    // A task that something blocks; the others have counted themselves.
    report.connections_cut += connections.len();
    report
}

fn running(pools: &[Pool]) -> Vec<crate::RunningJob> {
    pools.iter().flat_map(Pool::running).collect()
}

/// Waits for the threads of all pools, one pool after the other: they end side by side.
async fn shutdown(pools: &[Pool]) {
    for pool in pools {
        pool.shutdown().await;
    }
}
