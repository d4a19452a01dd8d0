//! Which request bodies may stream to a thread, and which have to be whole first.
//!
//! Threads: runtime.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body::Body;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::body::input::Input;
use crate::body::read_ahead::{ReadAhead, Rest};
use crate::body::source::BodyFailure;
use crate::body::spool::{Spool, Spooled};
use crate::refusal::Refusal;
use crate::sync::{Mutex, lock};
use crate::timer::Timer;

/// A pool's limit on the bodies that stream. A thread waits while such a body arrives slowly, so only a part of the
/// threads may have one; all other bodies are spooled until they are whole.
#[doc(hidden)]
#[derive(Debug)]
pub struct Uploads {
    permits: Arc<Permits>,
    /// The permits of bodies that do not fit into the spool: while slow bodies have the others, a large body that
    /// arrives fast does not wait for them.
    overflow: Arc<Permits>,
    /// Whether the permits leave a thread for other requests.
    leaves_thread: AtomicBool,
    spool: Spool,
}

/// How many bodies of a pool may stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadLimits {
    pub(crate) streaming: usize,
    /// How many more may stream if they do not fit into the spool.
    pub(crate) overflow: usize,
    /// Whether a thread is left for other requests while as many stream.
    pub(crate) leaves_thread: bool,
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
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { semaphore: Semaphore::new(limit), count: Mutex::new(PermitCount { limit, existing: limit }) }
    }

    fn set_limit(&self, limit: usize) {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let missing = {
            let mut count = lock(&self.count);
            count.limit = limit;
            let missing = limit.saturating_sub(count.existing);
            count.existing += missing;
            missing
        };
        self.add(missing);
    }

    fn try_take(self: &Arc<Self>) -> Option<UploadPermit> {
        self.semaphore.try_acquire().ok()?.forget();
        Some(UploadPermit(Arc::clone(self)))
    }

    async fn take(self: &Arc<Self>) -> UploadPermit {
        match self.semaphore.acquire().await {
            Ok(permit) => permit.forget(),
            // Nothing closes the semaphore.
            Err(_) => std::future::pending().await,
        }
        UploadPermit(Arc::clone(self))
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
    pub(crate) fn new(limits: UploadLimits, spool: Spool) -> Self {
        let permits = |limit| Arc::new(Permits::new(limit));
        Self {
            permits: permits(limits.streaming),
            overflow: permits(limits.overflow),
            leaves_thread: AtomicBool::new(limits.leaves_thread),
            spool,
        }
    }

    /// Changes the limits. If more bodies stream than a lower limit allows, no further body streams until enough of
    /// them have been received.
    pub(crate) fn set_limits(&self, limits: UploadLimits) {
        self.permits.set_limit(limits.streaming);
        self.overflow.set_limit(limits.overflow);
        self.leaves_thread.store(limits.leaves_thread, Ordering::Relaxed);
    }

    /// A free permit for a body that could be spooled, and whose client has not been asked for it yet. There is none if
    /// such bodies could take the last thread: where a mount has a spool, slow uploads must not be able to.
    pub(super) fn try_unasked(&self) -> Option<UploadPermit> {
        if self.leaves_thread.load(Ordering::Relaxed) { self.permits.try_take() } else { None }
    }

    /// A free permit for a body that fits into the spool, or does not.
    pub(super) fn try_permit(&self, fits: bool) -> Option<UploadPermit> {
        let overflow = || if fits { None } else { self.overflow.try_take() };
        self.permits.try_take().or_else(overflow)
    }

    /// Reads the body ahead if it may stream. Otherwise reads it whole into the spool, as far as there is room. A body
    /// that finds the spool full waits until it may stream, after its spooled part, or until there is room. The client
    /// has to wait, too: beyond the read-ahead, nothing is read meanwhile.
    ///
    /// # Errors
    ///
    /// The response to a body that cannot be read or written, or that has waited for longer than `longest_wait`.
    pub(crate) async fn receive<B>(
        &self,
        mut ahead: ReadAhead<B>,
        longest_wait: Option<Duration>,
    ) -> Result<(Input, Rest<B>), Refusal>
    where
        B: Body + Send + 'static,
    {
        // A body that is known to be large takes its permit first: without one, it is spooled from its first byte.
        if !ahead.is_large() {
            std::future::poll_fn(|cx| ahead.poll(cx)).await;
            if ahead.has_ended() {
                return Ok(ahead.split(None));
            }
        }
        let mut spooled = self.spool.begin();
        if let Some(permit) = self.try_permit(spooled.has_room(ahead.size())) {
            std::future::poll_fn(|cx| ahead.poll(cx)).await;
            return Ok(ahead.split(Some(permit)));
        }
        let permit = match self.spool_or_wait(&mut ahead, &mut spooled, longest_wait).await {
            Ok(permit) => permit,
            Err(refusal) => {
                ahead.discard();
                return Err(refusal);
            }
        };
        if !spooled.has_begun() {
            return Ok(ahead.split(permit));
        }
        match spooled.finish().await {
            Ok(spooled) => {
                let (input, rest) = ahead.split(permit);
                Ok((input.preceded_by(spooled), rest))
            }
            Err(refusal) => {
                ahead.discard();
                Err(refusal)
            }
        }
    }

    /// Spools the body while there is room, and otherwise waits. Returns the permit of a body that may stream, or
    /// `None` if the body has ended.
    async fn spool_or_wait<B>(
        &self,
        ahead: &mut ReadAhead<B>,
        spooled: &mut Spooled,
        longest_wait: Option<Duration>,
    ) -> Result<Option<UploadPermit>, Refusal>
    where
        B: Body + Send + 'static,
    {
        let mut left = longest_wait;
        loop {
            if spooled.has_room(ahead.size()) && ahead.spool_into(spooled, 0).await? {
                return Ok(None);
            }
            let start = Instant::now();
            let waited = self.wait(ahead, spooled, left).await;
            // A permit that the wait was given besides is free again, whether or not a limit was lowered meanwhile.
            self.permits.add(0);
            self.overflow.add(0);
            match waited {
                Waited::Permit(permit) => return Ok(Some(permit)),
                Waited::BodyEnded => return ahead.end().unwrap_or(Ok(())).map(|()| None).map_err(BodyFailure::refusal),
                Waited::Expired => return Err(Refusal::EXPIRED),
                Waited::Room => left = left.map(|left| left.saturating_sub(start.elapsed())),
            }
        }
    }

    /// Waits until the body may stream, or the spool has room for the body. Fills the read-ahead meanwhile: so the
    /// disconnect of a client that has not sent more than that is noticed.
    async fn wait<B>(&self, ahead: &mut ReadAhead<B>, spooled: &Spooled, longest: Option<Duration>) -> Waited
    where
        B: Body + Send + 'static,
    {
        let (mut permit, mut overflow) = (pin!(self.permits.take()), pin!(self.overflow.take()));
        let mut freed = pin!(self.spool.freed());
        let mut expiry = longest.map(Timer::new);
        std::future::poll_fn(|cx| {
            if ahead.poll(cx).is_ready() && ahead.has_ended() {
                return Poll::Ready(Waited::BodyEnded);
            }
            if let Poll::Ready(permit) = permit.as_mut().poll(cx) {
                return Poll::Ready(Waited::Permit(permit));
            }
            // The body did not fit, or it would not wait.
            if let Poll::Ready(permit) = overflow.as_mut().poll(cx) {
                return Poll::Ready(Waited::Permit(permit));
            }
            // The spool is checked after `freed` was created, so that no body returns its quota unnoticed in between.
            loop {
                if spooled.has_room(ahead.size()) {
                    return Poll::Ready(Waited::Room);
                }
                if freed.as_mut().poll(cx).is_pending() {
                    break;
                }
                freed.set(self.spool.freed());
            }
            expiry.as_mut().map_or(Poll::Pending, |expiry| expiry.poll(cx)).map(|()| Waited::Expired)
        })
        .await
    }
}

/// Why the wait of a body has ended.
enum Waited {
    /// The body may stream.
    Permit(UploadPermit),
    /// The spool has room.
    Room,
    /// The body has ended, completely or not.
    BodyEnded,
    /// The body has waited for too long.
    Expired,
}

#[cfg(test)]
mod tests {
    use super::{UploadLimits, Uploads};
    use crate::body::spool::Spool;

    /// Steps of a linear congruential generator. A body that does not fit takes a common permit first.
    #[test]
    fn a_body_streams_if_fewer_do_than_the_limits_allow() {
        let mut limits = UploadLimits { streaming: 2, overflow: 1, leaves_thread: true };
        let uploads = Uploads::new(limits, Spool::builder().build().unwrap());
        // The permits that were taken from either kind.
        let (mut common, mut overflow) = (Vec::new(), Vec::new());
        let mut random = 1_u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (random >> 33) % 16 {
                to @ 0..6 => {
                    let to = usize::try_from(to).unwrap();
                    limits = UploadLimits { streaming: to, overflow: to % 3, leaves_thread: true };
                    uploads.set_limits(limits);
                }
                6..9 => drop(common.pop()),
                9..11 => drop(overflow.pop()),
                _ => {
                    let fits = random >> 63 == 0;
                    let permit = uploads.try_permit(fits);
                    if common.len() < limits.streaming {
                        common.push(permit.unwrap());
                    } else if !fits && overflow.len() < limits.overflow {
                        overflow.push(permit.unwrap());
                    } else {
                        assert!(permit.is_none(), "{} and {} of {limits:?}", common.len(), overflow.len());
                    }
                }
            }
        }
    }
}
