//! Timeouts for a client that sends its body slowly.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Two timeouts: one for each wait, and one for all waits of a request together, which a trickle of bytes cannot reset.
/// Both run only while the gateway waits for the client, not while the application computes.
pub(crate) struct BodyTimeouts {
    /// The longest single wait.
    idle: Duration,
    /// The time left for all waits.
    left: Duration,
    wait: Option<RunningWait>,
}

struct RunningWait {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl BodyTimeouts {
    pub(crate) fn new(idle: Duration, total: Duration) -> Self {
        Self { idle, left: total, wait: None }
    }

    /// Continues the wait; ready on a timeout. Only a wait needs a runtime with timers.
    pub(crate) fn poll_timed_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let longest = self.idle.min(self.left);
        let wait = self.wait.get_or_insert_with(|| {
            // `sleep` accepts any duration; `Instant::now() + longest` could overflow.
            RunningWait { since: Instant::now(), end: Box::pin(sleep(longest)) }
        });
        wait.end.as_mut().poll(cx)
    }

    /// Ends the wait, and subtracts its time from the total.
    pub(crate) fn end_wait(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.left = self.left.saturating_sub(wait.since.elapsed());
        }
    }
}
