//! How long to wait for a client that sends its body slowly.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Two clocks: one for each wait, and one for all waits of a request together, which a trickle of bytes cannot reset.
/// Both run only while the client is waited for; an application that takes its time costs it nothing.
pub(crate) struct BodyTimeouts {
    /// The longest single wait.
    idle: Duration,
    /// What is left for all waits.
    left: Duration,
    wait: Option<Wait>,
}

struct Wait {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl BodyTimeouts {
    pub(crate) fn new(idle: Duration, total: Duration) -> Self {
        Self { idle, left: total, wait: None }
    }

    /// Goes on waiting; ready when the client has taken too long. Needs a runtime with timers only from here on.
    pub(crate) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let longest = self.idle.min(self.left);
        let wait = self.wait.get_or_insert_with(|| {
            // `sleep` copes with any duration, as an instant would not.
            Wait { since: Instant::now(), end: Box::pin(sleep(longest)) }
        });
        wait.end.as_mut().poll(cx)
    }

    /// The client has sent something: the wait is over, and what it took is spent.
    pub(crate) fn rest(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.left = self.left.saturating_sub(wait.since.elapsed());
        }
    }
}
