//! The timeouts of a connection, and the shutdown stages of its server.
//!
//! Threads: runtime.

use std::pin::pin;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use crate::log;
use crate::serve::connection::{Ending, Protocol, Stage};
use crate::serve::lifecycle::{Lifecycle, Overdue};

/// How long a connection may take to close after a close request before it is dropped.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How long a connection lingers while the server stops.
const LINGER_AT_STOP: Duration = Duration::from_secs(2);

/// The shortest and the longest interval between two checks of the timeouts. The buffers of an idle connection are
/// released at most the longest interval late.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// How long a connection is idle before hyper's buffers are released. A busy connection keeps its buffers.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

/// Watches the timeouts of one connection and the stage of its server.
#[derive(Debug)]
pub(super) struct ConnectionTimeouts<'c> {
    lifecycle: &'c Lifecycle,
    protocol: &'c Protocol,
    stage: &'c mut watch::Receiver<Stage>,
    /// The time of the next check.
    alarm: Instant,
    /// When the drain of the server began.
    draining_since: Option<Instant>,
    /// When the connection must have closed after an expired timeout.
    overdue_until: Option<Instant>,
}

/// An action that a connection must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Finish the requests that have begun, a partly received head included, and accept no more.
    Drain,
    /// Accept no more requests, even if a part of a head was received.
    Close,
    /// End now.
    End(Ending),
    /// Release hyper's buffers: the connection is idle.
    ReleaseBuffers,
}

impl<'c> ConnectionTimeouts<'c> {
    pub(super) fn new(lifecycle: &'c Lifecycle, protocol: &'c Protocol, stage: &'c mut watch::Receiver<Stage>) -> Self {
        let now = Instant::now();
        let mut timeouts = Self { lifecycle, protocol, stage, alarm: now, draining_since: None, overdue_until: None };
        timeouts.alarm += timeouts.look().min(RELEASE_AFTER);
        // A timeout may have started before.
        if let Some((at, _)) = lifecycle.deadline(&protocol.limits) {
            timeouts.alarm = timeouts.alarm.min(at);
        }
        timeouts
    }

    /// The interval until the next check: at most the shortest timeout, so that a timeout which starts between two
    /// checks expires after the second.
    fn look(&self) -> Duration {
        let limits = &self.protocol.limits;
        let shortest = limits.header_timeout.min(limits.keep_alive).min(limits.write_stall);
        shortest.clamp(SHORTEST_LOOK, LONGEST_LOOK)
    }

    /// Waits for the next action.
    pub(super) async fn action(&mut self) -> Action {
        let mut alarm = pin!(sleep_until(self.alarm));
        loop {
            let is_draining = self.draining_since.is_some();
            tokio::select! {
                biased;
                stage = next(self.stage, is_draining) => return match stage {
                    Stage::Cut if self.lifecycle.is_lingering() => Action::End(Ending::Closed),
                    Stage::Cut => Action::End(Ending::Cut),
                    Stage::Serving | Stage::Draining => {
                        self.draining_since = Some(Instant::now());
                        let look = Instant::now() + self.look().min(CLOSE_GRACE);
                        // A drain does not delay a timeout.
                        let due = self.lifecycle.deadline(&self.protocol.limits).map(|(at, _)| at);
                        self.alarm = [self.overdue_until, due].into_iter().flatten().fold(look, Instant::min);
                        Action::Drain
                    }
                },
                () = alarm.as_mut() => {}
            }
            if let Some(action) = self.look_at_clock() {
                return action;
            }
            alarm.as_mut().reset(self.alarm);
        }
    }

    /// Checks the timeouts: returns the action that is due, or sets the time of the next check.
    fn look_at_clock(&mut self) -> Option<Action> {
        let now = Instant::now();
        self.alarm = now + self.look();
        if let Some(since) = self.draining_since {
            self.alarm = now + self.look().min(CLOSE_GRACE);
            let is_over = match self.lifecycle.requests_done_since() {
                Some((done, true)) => done.max(since) + CLOSE_GRACE <= now,
                Some((done, false)) => done.max(since) + LINGER_AT_STOP <= now,
                None => self.lifecycle.is_lingering() && since + LINGER_AT_STOP <= now,
            };
            if is_over {
                return Some(Action::End(Ending::Closed));
            }
        }
        match self.lifecycle.deadline(&self.protocol.limits) {
            Some((at, Overdue::Progress)) if at <= now => {
                log::debug!("the peer of a connection takes nothing; the connection is reset");
                self.lifecycle.reset();
                return Some(Action::End(Ending::Closed));
            }
            // A request that crossed with the close request is still answered: then no timeout runs.
            Some((at, Overdue::Request)) if at <= now => match self.overdue_until {
                Some(until) if until <= now => return Some(Action::End(Ending::Closed)),
                Some(until) => self.alarm = self.alarm.min(until),
                None => {
                    log::debug!("a connection has waited too long for a request");
                    let until = now + CLOSE_GRACE;
                    self.overdue_until = Some(until);
                    self.alarm = until;
                    return Some(Action::Close);
                }
            },
            Some((at, _)) if at > now => self.alarm = self.alarm.min(at),
            _ => {}
        }
        if self.draining_since.is_none()
            && self.overdue_until.is_none()
            && let Some(since) = self.lifecycle.idle_since()
        {
            if now >= since + RELEASE_AFTER {
                return Some(Action::ReleaseBuffers);
            }
            self.alarm = self.alarm.min(since + RELEASE_AFTER);
        }
        None
    }
}

/// Waits for a stage of the server on which the connection has not acted.
async fn next(stage: &mut watch::Receiver<Stage>, is_draining: bool) -> Stage {
    let is_news = |stage: &Stage| *stage == Stage::Cut || *stage == Stage::Draining && !is_draining;
    match stage.wait_for(is_news).await {
        Ok(stage) => *stage,
        // The server was dropped.
        Err(_) => Stage::Cut,
    }
}
