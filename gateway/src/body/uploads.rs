//! Which request bodies may stream to a thread, and which have to be whole first.
//!
//! Threads: runtime.

use std::sync::Arc;

use http_body::Body;
use tokio::sync::Semaphore;

use crate::body::input::Input;
use crate::body::read_ahead::{ReadAhead, Rest};
use crate::body::spool::Spool;
use crate::refusal::Refusal;
use crate::sync::{Mutex, lock};

/// A pool's limit on the bodies that stream. A thread waits while such a body arrives slowly, so only a part of the
/// threads may have one; all other bodies are spooled until they are whole.
#[doc(hidden)]
#[derive(Debug)]
pub struct Uploads {
    permits: Arc<Permits>,
    spool: Spool,
}

#[derive(Debug)]
struct Permits {
    /// The free permits.
    semaphore: Semaphore,
    count: Mutex<PermitCount>,
}

#[derive(Debug)]
struct PermitCount {
    limit: usize,
    /// The permits that are free or taken. More than the limit after it was lowered, until enough are returned.
    existing: usize,
}

impl Permits {
    fn new(limit: usize) -> Self {
        Self { semaphore: Semaphore::new(limit), count: Mutex::new(PermitCount { limit, existing: limit }) }
    }

    fn set_limit(&self, limit: usize) {
        let missing = {
            let mut count = lock(&self.count);
            count.limit = limit;
            let missing = limit.saturating_sub(count.existing);
            count.existing += missing;
            missing
        };
        self.add(missing);
    }

    /// A permit above the limit is removed; a waiting body does not get it.
    fn give_back(&self) {
        {
            let mut count = lock(&self.count);
            if count.existing > count.limit {
                count.existing -= 1;
                return;
            }
        }
        self.add(1);
    }

    /// Adds free permits. It wakes tasks, and does so without the lock; the limit may be lowered in between, so free
    /// permits above it are removed afterwards.
    fn add(&self, permits: usize) {
        self.semaphore.add_permits(permits);
        let mut count = lock(&self.count);
        let above = count.existing.saturating_sub(count.limit);
        count.existing -= self.semaphore.forget_permits(above);
    }
}

/// The permit of one body to stream. Held until the body was received, or until its application no longer reads it.
#[derive(Debug)]
pub(crate) struct UploadPermit(Arc<Permits>);

impl Drop for UploadPermit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Uploads {
    pub(crate) fn new(limit: usize, spool: Spool) -> Self {
        Self { permits: Arc::new(Permits::new(limit.min(Semaphore::MAX_PERMITS))), spool }
    }

    /// Changes the limit. If more bodies stream than a lower limit allows, no further body streams until enough of them
    /// have been received.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.permits.set_limit(limit.min(Semaphore::MAX_PERMITS));
    }

    fn try_permit(&self) -> Option<UploadPermit> {
        self.permits.semaphore.try_acquire().ok()?.forget();
        Some(UploadPermit(Arc::clone(&self.permits)))
    }

    async fn permit(&self) -> Option<UploadPermit> {
        self.permits.semaphore.acquire().await.ok()?.forget();
        Some(UploadPermit(Arc::clone(&self.permits)))
    }

    /// Reads the body ahead, or whole if no permit is free. If the spool is full, waits for a permit: the client has to
    /// wait, too, as nothing is read meanwhile.
    ///
    /// # Errors
    ///
    /// The response to a body that cannot be read or spooled.
    pub(crate) async fn receive<B>(&self, mut ahead: ReadAhead<B>) -> Result<(Input, Rest<B>), Refusal>
    where
        B: Body + Send + 'static,
    {
        // A body that is known to be large takes its permit first: without one, nothing of it stays in memory.
        if !ahead.is_large() {
            std::future::poll_fn(|cx| ahead.poll(cx)).await;
            if ahead.has_ended() {
                return Ok(ahead.split(None));
            }
        }
        if let Some(permit) = self.try_permit() {
            std::future::poll_fn(|cx| ahead.poll(cx)).await;
            return Ok(ahead.split(Some(permit)));
        }
        // A hint: other bodies may take the room first. Then the spool refuses this one with 503.
        if self.spool.has_room(ahead.declared()) {
            let (input, source) = ahead.spool_to_disk(&self.spool).await?;
            return Ok((input, Rest::Source(source)));
        }
        // Nothing closes the semaphore. If it were closed, the body would stream without a permit.
        let permit = self.permit().await;
        std::future::poll_fn(|cx| ahead.poll(cx)).await;
        Ok(ahead.split(permit))
    }
}

#[cfg(test)]
mod tests {
    use super::Uploads;
    use crate::body::spool::Spool;

    /// Steps of a linear congruential generator.
    #[test]
    fn a_body_streams_if_fewer_do_than_the_limit_allows() {
        let mut limit = 2;
        let uploads = Uploads::new(limit, Spool::builder().build().unwrap());
        let mut taken = Vec::new();
        let mut random = 1_u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (random >> 33) % 16 {
                to @ 0..6 => {
                    limit = usize::try_from(to).unwrap();
                    uploads.set_limit(limit);
                }
                6..11 => drop(taken.pop()),
                _ => {
                    let permit = uploads.try_permit();
                    assert_eq!(permit.is_some(), taken.len() < limit, "{} of {limit}", taken.len());
                    taken.extend(permit);
                }
            }
        }
    }
}
