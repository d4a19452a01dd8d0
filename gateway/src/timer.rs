//! A timer that a future polls along with other events.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The time is set at once, on the runtime's clock, which tests may pause. The first poll creates the runtime's timer:
/// most requests are answered before it is due.
pub(crate) struct Timer {
    /// `None` if the time exceeds the range of `Instant`: never.
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
        self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due))).as_mut().poll(cx)
    }
}
