//! The timeouts of a connection, and the shutdown stages of its server.
//!
//! Threads: runtime.

use std::pin::pin;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use crate::connection_context::ServerStage;
use crate::log;
use crate::serve::connection::{ConnectionConfig, Ending};
use crate::serve::lifecycle::{Lifecycle, Machine, TimeoutKind};

/// How long the first request of a connection may take to arrive once the server stops.
pub(super) const FIRST_BYTES: Duration = Duration::from_millis(100);

/// How long a connection may take to close after a close request before it is dropped.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How long a connection lingers while the server stops.
const LINGER_AT_STOP: Duration = Duration::from_secs(2);

/// The bounds of the interval between two checks of the timeouts. The buffers of an idle connection are released at
/// most the longest interval late.
const SHORTEST_CHECK_INTERVAL: Duration = Duration::from_millis(10);
const LONGEST_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a connection is idle before hyper's buffers are released. A busy connection keeps its buffers.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

/// Watches the timeouts of one connection and the stage of its server.
#[derive(Debug)]
pub(super) struct ConnectionTimeouts<'c> {
    lifecycle: &'c Lifecycle,
    config: &'c ConnectionConfig,
    stage: &'c mut watch::Receiver<ServerStage>,
    /// The time of the next check.
    next_check: Instant,
    /// When the drain of the server began.
    draining_since: Option<Instant>,
    /// When the connection must have closed after an expired timeout.
    overdue_until: Option<Instant>,
}

/// An action that a connection must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionAction {
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
    pub(super) fn new(
        lifecycle: &'c Lifecycle,
        config: &'c ConnectionConfig,
        stage: &'c mut watch::Receiver<ServerStage>,
    ) -> Self {
        let now = Instant::now();
        let mut timeouts =
            Self { lifecycle, config, stage, next_check: now, draining_since: None, overdue_until: None };
        timeouts.next_check += timeouts.check_interval().min(RELEASE_AFTER);
        // A timeout may have started before.
        if let Some((at, _)) = lifecycle.with(|machine| machine.deadline(&config.timeouts)) {
            timeouts.next_check = timeouts.next_check.min(at);
        }
        timeouts
    }

    /// The interval until the next check: at most the shortest timeout, so that a timeout which starts between two
    /// checks expires after the second.
    fn check_interval(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        let shortest = timeouts.header_timeout.min(timeouts.keep_alive).min(timeouts.write_stall);
        let longest = if self.draining_since.is_some() { CLOSE_GRACE } else { LONGEST_CHECK_INTERVAL };
        shortest.clamp(SHORTEST_CHECK_INTERVAL, longest)
    }

    /// Waits for the next action.
    pub(super) async fn action(&mut self) -> ConnectionAction {
        let mut timer = pin!(sleep_until(self.next_check));
        loop {
            let is_draining = self.draining_since.is_some();
            let is_lingering = || self.lifecycle.with(|machine| machine.is_lingering());
            tokio::select! {
                biased;
                stage = next_stage(self.stage, is_draining) => return match stage {
                    ServerStage::Cut if is_lingering() => ConnectionAction::End(Ending::Closed),
                    ServerStage::Cut => ConnectionAction::End(Ending::Cut),
                    ServerStage::Serving | ServerStage::Draining => {
                        self.draining_since = Some(Instant::now());
                        let next = Instant::now() + self.check_interval();
                        // A drain does not delay a timeout.
                        let due = self.deadline().map(|(at, _)| at);
                        self.next_check = [self.overdue_until, due].into_iter().flatten().fold(next, Instant::min);
                        ConnectionAction::Drain
                    }
                },
                () = timer.as_mut() => {}
            }
            if let Some(action) = self.check() {
                return action;
            }
            timer.as_mut().reset(self.next_check);
        }
    }

    fn deadline(&self) -> Option<(Instant, TimeoutKind)> {
        self.lifecycle.with(|machine| machine.deadline(&self.config.timeouts))
    }

    /// Checks the timeouts: returns the action that is due, or sets the time of the next check.
    fn check(&mut self) -> Option<ConnectionAction> {
        let now = Instant::now();
        self.next_check = now + self.check_interval();
        if let Some(since) = self.draining_since {
            let is_over = match self.lifecycle.with(|machine| machine.requests_done_since()) {
                Some((done, true)) => done.max(since) + CLOSE_GRACE <= now,
                Some((done, false)) => done.max(since) + LINGER_AT_STOP <= now,
                None => self.lifecycle.with(|machine| machine.is_lingering()) && since + LINGER_AT_STOP <= now,
            };
            if is_over {
                return Some(ConnectionAction::End(Ending::Closed));
            }
        }
        match self.deadline() {
            Some((at, TimeoutKind::WriteStall)) if at <= now => {
                log::debug!("the peer of a connection takes nothing; the connection is reset");
                self.lifecycle.with(Machine::reset);
                return Some(ConnectionAction::End(Ending::Closed));
            }
            // A request that crossed with the close request is still answered: then no timeout runs.
            Some((at, TimeoutKind::Request)) if at <= now => match self.overdue_until {
                Some(until) if until <= now => return Some(ConnectionAction::End(Ending::Closed)),
                Some(until) => self.next_check = self.next_check.min(until),
                None => {
                    log::debug!("a connection has waited too long for a request");
                    let until = now + CLOSE_GRACE;
                    self.overdue_until = Some(until);
                    self.next_check = until;
                    return Some(ConnectionAction::Close);
                }
            },
            Some((at, _)) if at > now => self.next_check = self.next_check.min(at),
            _ => {}
        }
        if self.draining_since.is_none()
            && self.overdue_until.is_none()
            && let Some(since) = self.lifecycle.with(|machine| machine.idle_since())
        {
            if now >= since + RELEASE_AFTER {
                return Some(ConnectionAction::ReleaseBuffers);
            }
            self.next_check = self.next_check.min(since + RELEASE_AFTER);
        }
        None
    }
}

/// Waits for a stage of the server on which the connection has not acted.
async fn next_stage(stage: &mut watch::Receiver<ServerStage>, is_draining: bool) -> ServerStage {
    let is_news = |stage: &ServerStage| *stage == ServerStage::Cut || *stage == ServerStage::Draining && !is_draining;
    // `wait_for` checks the current stage first: a change before this call is not missed.
    match stage.wait_for(is_news).await {
        Ok(stage) => *stage,
        // The server was dropped.
        Err(_) => ServerStage::Cut,
    }
}
