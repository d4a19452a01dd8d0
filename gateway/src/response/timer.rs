//! A moment that a future waits for, along with other things.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

/// Set when it is made, and armed when it is first waited for: most requests are answered before that.
pub(crate) struct Timer {
    set: Instant,
    /// From then on.
    after: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(crate) fn new(after: Duration) -> Self {
        Self { set: Instant::now(), after, sleep: None }
    }

    /// Needs a runtime with timers.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = || self.after.saturating_sub(self.set.elapsed());
        // `sleep` copes with any duration, as an instant would not.
        self.sleep.get_or_insert_with(|| Box::pin(sleep(left()))).as_mut().poll(cx)
    }
}
