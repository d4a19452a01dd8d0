//! A mount's share of a pool.
//!
//! Threads: any.

use std::sync::Arc;

use crate::pool::line::{COMMON, LaneId, Share as Terms};
use crate::pool::room::Room;
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
    terms: Terms,
}

impl Share {
    /// A share like any other: nothing is reserved, and nothing capped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Threads that are kept for this share, so that a saturated neighbour cannot keep it from running; and the same part of the
    /// waiting line. Default: 0.
    ///
    /// No others may use them, even while they are idle. The holder may use more, if they are free.
    #[must_use]
    pub fn reserved_threads(mut self, threads: usize) -> Self {
        self.terms.reserved = threads;
        self
    }

    /// The most requests that wait and run together; further ones are refused as if the pool were full. Default: no limit but the
    /// pool's.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.terms.most = requests;
        self
    }

    pub(super) fn terms(self) -> Terms {
        self.terms
    }
}

/// A hold on a lane of the pool's queue. The lane is closed with it.
#[derive(Debug)]
pub(super) struct Lane {
    threads: Arc<Threads>,
    room: Arc<Room>,
    id: LaneId,
    terms: Terms,
}

impl Lane {
    /// The one for everybody.
    pub(super) fn common(threads: &Arc<Threads>, room: &Arc<Room>) -> Self {
        Self::new(threads, room, COMMON, Terms::default())
    }

    pub(super) fn new(threads: &Arc<Threads>, room: &Arc<Room>, id: LaneId, terms: Terms) -> Self {
        Self { threads: Arc::clone(threads), room: Arc::clone(room), id, terms }
    }

    pub(super) fn id(&self) -> LaneId {
        self.id
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.id != COMMON {
            // What was kept for it may be what others wait for.
            let call = self.threads.queue.close_lane(self.id);
            self.threads.answer(call);
            self.room.free();
        }
    }
}
