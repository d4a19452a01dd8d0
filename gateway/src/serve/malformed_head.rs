//! Requests whose heads hyper cannot parse: what the log and the program learn of them.
//!
//! Threads: runtime.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::catch_panic::catch_panic;
use crate::log;
use crate::sync::{Mutex, lock};

/// A request that was refused because its head is malformed or too large. The server has answered it; no service has
/// seen it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MalformedHead {
    /// The address of the peer. A Unix socket has none.
    pub peer: Option<SocketAddr>,
    /// 400; 414 for a target, and 431 for fields, that are too large; 431 for a `Content-Length` of 2⁶⁴ - 2 or 2⁶⁴ - 1.
    pub status: StatusCode,
}

/// The fn of the program that is told of each malformed head.
#[derive(Clone)]
pub(super) struct Observer(Arc<dyn Fn(&MalformedHead) + Send + Sync>);

impl Observer {
    pub(super) fn new(observe: impl Fn(&MalformedHead) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// The malformed heads of a server.
#[derive(Debug)]
pub(super) struct MalformedHeads {
    observer: Option<Observer>,
    events: Mutex<Events>,
}

/// The most events in a second. A peer may send thousands of malformed heads in that time, and could fill a disk.
const MOST_EVENTS: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// The events of the present second.
#[derive(Debug, Default)]
struct Events {
    began: Option<Instant>,
    count: u32,
    /// Malformed heads without an event, since the last event.
    left_out: u64,
}

impl MalformedHeads {
    pub(super) fn new(observer: Option<Observer>) -> Self {
        Self { observer, events: Mutex::default() }
    }

    /// Tells of a request that hyper has refused. hyper itself answers a head that it cannot parse, and no service sees
    /// the request: nothing else tells of it.
    pub(super) fn refused(&self, error: &hyper::Error, peer: Option<SocketAddr>) {
        // The lock is not held while a subscriber runs.
        let admitted = lock(&self.events).admit(Instant::now());
        if let Some(left_out) = admitted {
            let (peer, left_out) = (peer.map(log::display), (left_out > 0).then_some(left_out));
            log::info!(
                target: "gateway::serve", peer, %error, left_out, "the head of a request is malformed: refused"
            );
        }
        let (Some(Observer(observe)), Some(status)) = (&self.observer, status(error)) else { return };
        if let Err(panicked) = catch_panic(|| observe(&MalformedHead { peer, status })) {
            log::error!(error = %panicked, "the observer of malformed heads panicked");
        }
    }
}

/// With the server and its last connection: logs the number of heads that had no event.
impl Drop for MalformedHeads {
    fn drop(&mut self) {
        let left_out = lock(&self.events).left_out;
        if left_out > 0 {
            log::info!(target: "gateway::serve", left_out, "more heads of requests were malformed: refused");
        }
    }
}

/// The status of the response that hyper has sent, if it has sent one.
fn status(error: &hyper::Error) -> Option<StatusCode> {
    match error.is_parse_too_large() {
        _ if error.is_parse_version_h2() => None,
        false => Some(StatusCode::BAD_REQUEST),
        // hyper has one query for both; a test sees to it that the text is as here.
        true if error.to_string().starts_with("URI") => Some(StatusCode::URI_TOO_LONG),
        true => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    }
}

impl Events {
    /// Whether there may be an event now: if so, the number of those that were left out since the last.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= SECOND) {
            (self.began, self.count) = (Some(now), 0);
        }
        if self.count == MOST_EVENTS {
            self.left_out += 1;
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_a_bounded_number_of_events_and_the_next_one_counts_the_others() {
        let mut events = Events::default();
        let begun = Instant::now();
        // Ten times as many as are admitted, evenly over three seconds.
        let admitted = |step: u32| events.admit(begun + SECOND * step / 100);
        let admitted: Vec<Option<u64>> = (0..300).map(admitted).collect();
        for second in admitted.chunks(100) {
            let (events, left_out) = second.split_at(10);
            assert!(events.iter().all(Option::is_some) && left_out.iter().all(Option::is_none), "{second:?}");
        }
        assert_eq!([0, 1, 100, 101, 200].map(|at: usize| admitted[at]), [0, 0, 90, 0, 90].map(Some));
        assert_eq!(events.left_out, 90);
    }
}
