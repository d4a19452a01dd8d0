//! Who sees to it that a connection ends.

use std::pin::pin;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use crate::serve::activity::Activity;
use crate::serve::connection::{Ending, Protocol, Stage};

/// How long a connection has to end, once it was told to for having waited too long.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// How often to look at the clock at most, however short the times it measures.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// How often at least, so that a connection does not hold its buffers for long after a request that took its time.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// How long a connection is without a request before it is put away. Long enough that a busy one never is.
const REST: Duration = Duration::from_secs(1);

/// Watches the time and the server for a connection that hyper drives.
#[derive(Debug)]
pub(super) struct Warden<'c> {
    activity: &'c Activity,
    protocol: &'c Protocol,
    stage: &'c mut watch::Receiver<Stage>,
    /// When to look at the clock.
    alarm: Instant,
    is_draining: bool,
    was_told_to_end: bool,
}

/// What a connection has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// To take no more requests.
    Finish,
    End(Ending),
    /// To give its buffers back, because nothing happens on it.
    PutAway,
}

impl<'c> Warden<'c> {
    pub(super) fn new(activity: &'c Activity, protocol: &'c Protocol, stage: &'c mut watch::Receiver<Stage>) -> Self {
        let mut warden =
            Self { activity, protocol, stage, alarm: Instant::now(), is_draining: false, was_told_to_end: false };
        warden.alarm += warden.look().min(REST);
        warden
    }

    /// A deadline that begins between two looks at the clock is never nearer than this.
    fn look(&self) -> Duration {
        self.protocol.header_timeout.min(self.protocol.keep_alive).clamp(SHORTEST_LOOK, LONGEST_LOOK)
    }

    /// Waits until there is something to do.
    pub(super) async fn duty(&mut self) -> Duty {
        let mut alarm = pin!(sleep_until(self.alarm));
        loop {
            tokio::select! {
                biased;
                stage = next(self.stage, self.is_draining) => return match stage {
                    // All was sent; only the client has not closed its side yet.
                    Stage::Cut if self.activity.is_finished() => Duty::End(Ending::Closed),
                    Stage::Cut => Duty::End(Ending::Cut),
                    Stage::Serving | Stage::Draining => {
                        self.is_draining = true;
                        Duty::Finish
                    }
                },
                () = alarm.as_mut() => {}
            }
            if let Some(duty) = self.look_at_clock() {
                return duty;
            }
            alarm.as_mut().reset(self.alarm);
        }
    }

    /// What there is to do, if anything, and when to look again.
    fn look_at_clock(&mut self) -> Option<Duty> {
        let now = Instant::now();
        self.alarm = now + self.look();
        let deadline = self.activity.deadline(self.protocol.header_timeout, self.protocol.keep_alive)?;
        if deadline <= now {
            if self.was_told_to_end {
                return Some(Duty::End(Ending::Closed));
            }
            self.was_told_to_end = true;
            tracing::debug!("a connection has waited too long for a request");
            self.alarm = now + FAREWELL;
            return Some(Duty::Finish);
        }
        self.alarm = match self.activity.rests_since() {
            Some(since) if now >= since + REST => {
                self.activity.is_put_away();
                return Some(Duty::PutAway);
            }
            Some(since) => deadline.min(since + REST),
            None => deadline.min(self.alarm),
        };
        None
    }
}

/// The next stage that a connection has to do something about.
async fn next(stage: &mut watch::Receiver<Stage>, is_draining: bool) -> Stage {
    let is_news = |stage: &Stage| *stage == Stage::Cut || *stage == Stage::Draining && !is_draining;
    match stage.wait_for(is_news).await {
        Ok(stage) => *stage,
        // The server itself is gone.
        Err(_) => Stage::Cut,
    }
}
