//! A timer that a future polls along with other events.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

/// The time is set at once. The first poll creates the runtime's timer: most requests are answered before it is due.
pub(crate) struct Timer {
    /// `None` if the time exceeds the range of `Instant`: never.
    due: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(crate) fn new(after: Duration) -> Self {
        Self { due: Instant::now().checked_add(after), sleep: None }
    }

    pub(crate) fn at(due: Instant) -> Self {
        Self { due: Some(due), sleep: None }
    }

    /// Needs a runtime with timers.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        // The rest is measured by the runtime's clock, which tests may pause.
        let left = || due.saturating_duration_since(Instant::now());
        self.sleep.get_or_insert_with(|| Box::pin(sleep(left()))).as_mut().poll(cx)
    }
}
