//! A mount's share of a pool.
//!
//! Threads: any.

use std::sync::Arc;

use crate::pool::admission_queue::{DEFAULT_SHARE, ShareId, ShareLimits};
use crate::pool::wait_list::WaitList;
use crate::pool::worker::Threads;

/// What part of a [`Pool`](crate::Pool) its holder may have, and is sure of. For [`Pool::share`](crate::Pool::share).
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
pub struct Share {
    limits: ShareLimits,
}

impl Share {
    /// A share like any other: nothing is reserved, and nothing capped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Threads that are kept for this share, so that a saturated neighbour cannot keep it from running; and the same
    /// part of the waiting line. Default: 0.
    ///
    /// No others may use them, even while they are idle. The holder may use more, if they are free.
    #[must_use]
    pub fn reserved_threads(mut self, threads: usize) -> Self {
        self.limits.reserved = threads;
        self
    }

    /// The most requests that wait and run together; further ones are refused as if the pool were full. Default: no
    /// limit but the pool's.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.limits.max_in_flight = requests;
        self
    }

    pub(super) fn limits(self) -> ShareLimits {
        self.limits
    }
}

/// A hold on a share of the pool's queue. The share is closed with it.
#[derive(Debug)]
pub(super) struct ShareHandle {
    threads: Arc<Threads>,
    wait_list: Arc<WaitList>,
    id: ShareId,
    limits: ShareLimits,
}

impl ShareHandle {
    /// The one for everybody.
    pub(super) fn default_share(threads: &Arc<Threads>, wait_list: &Arc<WaitList>) -> Self {
        Self::new(threads, wait_list, DEFAULT_SHARE, ShareLimits::default())
    }

    pub(super) fn new(threads: &Arc<Threads>, wait_list: &Arc<WaitList>, id: ShareId, limits: ShareLimits) -> Self {
        Self { threads: Arc::clone(threads), wait_list: Arc::clone(wait_list), id, limits }
    }

    pub(super) fn id(&self) -> ShareId {
        self.id
    }

    pub(super) fn limits(&self) -> ShareLimits {
        self.limits
    }
}

impl Drop for ShareHandle {
    fn drop(&mut self) {
        if self.id != DEFAULT_SHARE {
            // What was kept for it may be what others wait for.
            let call = self.threads.queue.close_share(self.id);
            self.threads.answer(call);
            self.wait_list.free();
        }
    }
}
