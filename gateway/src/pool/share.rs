//! A mount's share of a pool.
//!
//! Threads: any.

use std::sync::Arc;

use crate::pool::admission_queue::{DEFAULT_SHARE, ShareId, ShareLimits};
use crate::pool::threads::Threads;

/// The reservation and the cap of one handle on a [`Pool`](crate::Pool). For [`Pool::share`](crate::Pool::share).
///
/// # Example
///
/// ```
/// use gateway::{Gateway, Pool, Share};
///
/// # fn main() -> std::io::Result<()> {
/// # let [checkout, reports] = [(); 2].map(|()| gateway::application_fn(|_, _| Ok(gateway::Chunks::empty())));
/// let pool = Pool::builder().threads(16).build()?;
/// let first = pool.share(Share::new().reserved_threads(4))?;
/// let capped = pool.share(Share::new().max_in_flight(8))?;
/// let checkout = Gateway::new(checkout).pool(&first);
/// let reports = Gateway::new(reports).pool(&capped);
/// assert_eq!(pool.stats().reserved, 4);
/// # drop((checkout, reports));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Share {
    pub(super) limits: ShareLimits,
}

impl Share {
    /// A share without a reservation and without a cap.
    pub fn new() -> Self {
        Self::default()
    }
}

setters! {
    impl Share;

    /// Threads that only this share may use, even while they are idle, and the same fraction of the queue: the load of
    /// other shares cannot take them. Default: 0.
    ///
    /// The share may use further threads, if they are free.
    pub fn reserved_threads(mut self, threads: usize) { self.limits.reserved = threads }

    /// The most requests of this share, queued and running together; further ones are refused as if the pool were full.
    /// Default: only the limits of the pool.
    pub fn max_in_flight(mut self, requests: usize) { self.limits.max_in_flight = requests }
}

/// Owns a share of the pool's queue, and closes it when dropped.
#[derive(Debug)]
pub(super) struct ShareHandle {
    threads: Arc<Threads>,
    pub(super) id: ShareId,
}

impl ShareHandle {
    pub(super) fn new(threads: &Arc<Threads>, id: ShareId) -> Self {
        Self { threads: Arc::clone(threads), id }
    }
}

impl Drop for ShareHandle {
    fn drop(&mut self) {
        if self.id != DEFAULT_SHARE {
            // The reserved threads are common now: queued jobs may need them.
            let action = self.threads.queue.close_share(self.id);
            self.threads.perform(action);
        }
    }
}
