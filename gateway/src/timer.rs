//! A moment that a future waits for, along with other things.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

/// Set when it is made, and armed when it is first waited for: most requests are answered before that.
pub(crate) struct Timer {
    /// `None` is further away than time goes.
    due: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(crate) fn new(after: Duration) -> Self {
        Self { due: Instant::now().checked_add(after), sleep: None }
    }

    /// Needs a runtime with timers.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        // Counted from now on by the runtime's clock, which tests may have stopped.
        let left = || due.saturating_duration_since(Instant::now());
        self.sleep.get_or_insert_with(|| Box::pin(sleep(left()))).as_mut().poll(cx)
    }
}
