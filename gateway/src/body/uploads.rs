//! Which request bodies may stream to a thread, and which have to be whole first.
//!
//! Threads: runtime.

use std::sync::Arc;

use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    permits: Arc<Semaphore>,
    /// The number of permits, free and taken.
    limit: Mutex<usize>,
    spool: Spool,
}

/// A body may stream. Held until it was received, or its application reads it no longer.
pub(crate) type UploadPermit = OwnedSemaphorePermit;

impl Uploads {
    pub(crate) fn new(limit: usize, spool: Spool) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(limit)), limit: Mutex::new(limit), spool }
    }

    /// Changes the limit. A lower limit removes free permits only: while more bodies stream, the limit stays at their
    /// number until the next change.
    pub(crate) fn set_limit(&self, limit: usize) {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let mut current = lock(&self.limit);
        if limit >= *current {
            self.permits.add_permits(limit - *current);
            *current = limit;
        } else {
            // Only free permits can be removed; the rest stays for the next change.
            *current -= self.permits.forget_permits(*current - limit);
        }
    }

    fn try_permit(&self) -> Option<UploadPermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
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
        if self.spool.has_room(ahead.declared()) {
            let (input, source) = ahead.spool_to_disk(&self.spool).await?;
            return Ok((input, Rest::Source(source)));
        }
        // A closed semaphore is a bug, and the body streams without a permit.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        std::future::poll_fn(|cx| ahead.poll(cx)).await;
        Ok(ahead.split(permit))
    }
}
