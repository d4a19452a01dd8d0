//! Reading and discarding the client's bytes after the server has shut down its sending side.
//!
//! Threads: runtime.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::pool::drivers::local::take_turn;

/// The longest wait for the next bytes.
const IDLE: Duration = Duration::from_secs(5);

/// How many bytes are read without delay, and the rate after that, so that a client that only sends costs little.
const BURST: u64 = 32 * 1024 * 1024;
const BYTES_PER_SECOND: u64 = 8 * 1024 * 1024;

/// Reads and discards, with bounded time and rate.
///
/// Closing a socket that has unread bytes resets the connection, and the client loses the part of its response that it
/// has not read (RFC 9112 §9.6).
#[derive(Debug)]
pub(super) struct Linger {
    begun: Instant,
    /// When lingering ends, even if the client still sends.
    until: Instant,
    /// When lingering ends if no bytes arrive.
    idle_until: Instant,
    discarded: u64,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    /// Lingers for at most `longest` from now.
    pub(super) fn new(longest: Duration) -> Self {
        let begun = Instant::now();
        let until = begun + longest;
        let idle_until = until.min(begun + IDLE);
        Self { begun, until, idle_until, discarded: 0, timer: Box::pin(sleep_until(idle_until)) }
    }

    /// Ready at EOF, at an error, or when the time is over.
    pub(super) fn poll(&mut self, io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let resume = self.resume();
            let now = Instant::now();
            if now >= self.until {
                return Poll::Ready(());
            }
            if resume > now {
                std::task::ready!(self.poll_timer(resume.min(self.until), cx));
                continue;
            }
            std::task::ready!(take_turn(cx));
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.discarded += buffer.filled().len() as u64;
                    self.idle_until = self.until.min(Instant::now() + IDLE);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_timer(self.idle_until, cx),
            }
        }
    }

    /// When the rate allows the next read.
    fn resume(&self) -> Instant {
        let over = self.discarded.saturating_sub(BURST);
        self.begun + Duration::from_millis(over.saturating_mul(1000) / BYTES_PER_SECOND)
    }

    fn poll_timer(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        self.timer.as_mut().poll(cx)
    }
}

#[cfg(all(test, not(gateway_loom)))]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::bound::run_paused;

    /// A client that never stops sending.
    struct Flood;

    impl AsyncRead for Flood {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
            buffer.initialize_unfilled();
            buffer.set_filled(buffer.capacity());
            Poll::Ready(Ok(()))
        }
    }

    async fn linger(io: &mut (impl AsyncRead + Unpin), longest: Duration) -> (Duration, u64) {
        let begun = Instant::now();
        let mut linger = Linger::new(longest);
        std::future::poll_fn(|cx| linger.poll(io, cx)).await;
        (begun.elapsed(), linger.discarded)
    }

    #[test]
    fn a_client_that_sends_without_end_is_read_for_a_bounded_time_at_a_bounded_rate() {
        let (took, discarded) = run_paused(|| async { linger(&mut Flood, Duration::from_secs(30)).await });
        assert_eq!(took, Duration::from_secs(30));
        let most = BURST + 30 * BYTES_PER_SECOND;
        assert!((most - BYTES_PER_SECOND..=most + 16 * 1024).contains(&discarded), "{discarded}");
    }

    #[test]
    fn a_client_that_is_silent_is_waited_for_five_seconds() {
        for (longest, took) in [
            (Duration::from_secs(30), IDLE),
            // Less, if the whole linger time is shorter.
            (Duration::from_secs(2), Duration::from_secs(2)),
        ] {
            let waited = run_paused(move || async move {
                let (_client, mut server) = tokio::io::duplex(16);
                linger(&mut server, longest).await
            });
            assert_eq!(waited, (took, 0));
        }
    }

    #[test]
    fn the_end_of_the_client_ends_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut linger = pin!(Linger::new(Duration::from_secs(30)));
        let polled = linger.poll(&mut tokio::io::empty(), &mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(()));
    }
}
