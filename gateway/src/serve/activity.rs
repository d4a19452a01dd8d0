//! What happens on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::time::{Duration, Instant};

/// What the parts of one connection tell each other: its stream, its requests, and whoever watches the time.
///
/// One task drives all of them on HTTP/1. On HTTP/2 each request has a task of its own; what they see of one another may be a
/// moment old, which the clocks here do not mind.
#[derive(Debug)]
pub(super) struct Activity {
    born: Instant,
    /// A client may end its side and still wait for its response.
    half_close: bool,
    /// Requests that have been handed to the application and whose responses have not been handed over whole.
    in_flight: AtomicUsize,
    /// When the connection began to wait for what it waits for, in milliseconds after its birth.
    since: AtomicU64,
    /// Bytes have come that belong to no request so far, or a request body was not read to its end.
    unsettled: AtomicBool,
    /// A request body has a reader, who has not seen its end.
    has_reader: AtomicBool,
    has_had_request: AtomicBool,
    is_http2: AtomicBool,
    /// A response has begun whose end is the end of the connection.
    open_ended: AtomicBool,
    /// All was sent, and the end of the connection said.
    finished: AtomicBool,
    /// hyper has made sense of all that it was given, and has asked for more.
    listens: AtomicBool,
    /// A head has begun, and nobody has looked at the clock: most come whole, and need none.
    began_a_head: AtomicBool,
    /// The last that came was the end of a head, or of a chunked body.
    ended_a_message: AtomicBool,
    /// hyper has bytes that it has not written.
    has_more_to_send: AtomicBool,
    /// The connection is dropped only for its buffers.
    put_away: AtomicBool,
}

impl Activity {
    pub(super) fn new(half_close: bool) -> Self {
        Self {
            born: Instant::now(),
            half_close,
            in_flight: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            unsettled: AtomicBool::new(true),
            has_reader: AtomicBool::new(false),
            has_had_request: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            open_ended: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            began_a_head: AtomicBool::new(false),
            ended_a_message: AtomicBool::new(false),
            has_more_to_send: AtomicBool::new(false),
            put_away: AtomicBool::new(false),
        }
    }

    /// The connection speaks HTTP/2, where bytes may come at any time and mean no request.
    pub(super) fn is_http2(&self) {
        self.is_http2.store(true, Relaxed);
    }

    /// Bytes have come.
    pub(super) fn heard(&self, bytes: &[u8]) {
        self.listens.store(false, Relaxed);
        self.ended_a_message.store(bytes.ends_with(b"\r\n\r\n"), Relaxed);
        if self.is_http2.load(Relaxed) || self.unsettled.load(Relaxed) {
            return;
        }
        self.unsettled.store(true, Relaxed);
        if self.in_flight.load(Relaxed) == 0 {
            self.began_a_head.store(true, Relaxed);
        }
    }

    /// Bytes have been taken by the peer: it is there, however slow. What could be written at once, and not only after it `had_to_wait`, is on
    /// HTTP/1 the end of a response, whose time was noted just before, or hyper's own last word.
    pub(super) fn sent(&self, had_to_wait: bool) {
        if self.in_flight.load(Relaxed) == 0 && (had_to_wait || self.is_http2.load(Relaxed)) {
            self.wait_from_now();
        }
    }

    /// hyper waits for more.
    pub(super) fn listens(&self) {
        self.listens.store(true, Relaxed);
        if self.began_a_head.load(Relaxed) {
            self.began_a_head.store(false, Relaxed);
            self.wait_from_now();
        }
    }

    /// hyper writes. Says whether it had not written all of what it wrote before.
    pub(super) fn writes(&self) -> bool {
        let had_more = self.has_more_to_send.load(Relaxed);
        self.has_more_to_send.store(true, Relaxed);
        had_more
    }

    /// hyper has written all.
    pub(super) fn has_sent_all(&self) {
        self.has_more_to_send.store(false, Relaxed);
    }

    /// Since when hyper has had nothing to do on HTTP/1, and nothing in its buffers. `None` if it has, or may have.
    ///
    /// Part of a head may be in its buffer when it asks for more, and only it knows. But no part of a head ends like a whole one:
    /// what would look so has been taken for a head by then, or is an empty line between two requests.
    pub(super) fn rests_since(&self) -> Option<Instant> {
        let rests = self.in_flight.load(Relaxed) == 0
            && self.has_had_request.load(Relaxed)
            && !self.is_http2.load(Relaxed)
            && !self.unsettled.load(Relaxed)
            && self.listens.load(Relaxed)
            && self.ended_a_message.load(Relaxed)
            && !self.has_more_to_send.load(Relaxed)
            && !self.finished.load(Relaxed);
        rests.then(|| self.since())
    }

    /// The connection is about to be dropped, and its stream to be kept.
    pub(super) fn is_put_away(&self) {
        self.put_away.store(true, Relaxed);
    }

    pub(super) fn was_put_away(&self) -> bool {
        self.put_away.load(Relaxed)
    }

    /// The stream has a connection again, or is about to.
    pub(super) fn is_taken_up(&self) {
        self.put_away.store(false, Relaxed);
    }

    /// Whether all that is left to the client on HTTP/1 is to take a response: if it ends its side now, it has gone.
    pub(super) fn awaits_nothing(&self) -> bool {
        !self.half_close
            && self.in_flight.load(Relaxed) > 0
            && !self.has_reader.load(Relaxed)
            && !self.is_http2.load(Relaxed)
    }

    /// A request has a body, and somebody to read it.
    pub(super) fn has_reader(&self) {
        self.has_reader.store(true, Relaxed);
    }

    /// The reader of a request body has seen its end, or has gone.
    pub(super) fn has_no_reader(&self) {
        self.has_reader.store(false, Relaxed);
    }

    /// What has come so far was made sense of.
    pub(super) fn settled(&self) {
        self.unsettled.store(false, Relaxed);
    }

    /// Nobody will make sense of what comes next.
    pub(super) fn unsettled(&self) {
        self.unsettled.store(true, Relaxed);
    }

    /// A request begins. It lasts until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        self.has_had_request.store(true, Relaxed);
        // Whatever came before has ended otherwise.
        self.open_ended.store(false, Relaxed);
        self.began_a_head.store(false, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        self.settled();
        Flight(Arc::clone(self))
    }

    /// A response begins whose end is the end of the connection.
    pub(super) fn opens_ended(&self) {
        self.open_ended.store(true, Relaxed);
    }

    /// All has been sent.
    pub(super) fn finish(&self) {
        self.open_ended.store(false, Relaxed);
        self.finished.store(true, Relaxed);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }

    /// Whether closing now would make half of a response look like all of it.
    pub(super) fn would_pass_for_complete(&self) -> bool {
        self.open_ended.load(Relaxed)
    }

    /// Whether the peer may still be sending, so that a close would be a reset.
    pub(super) fn may_be_sent_to(&self) -> bool {
        self.unsettled.load(Relaxed) || self.is_http2.load(Relaxed)
    }

    /// When the connection will have waited for too long, as things are. `None` while it waits for nothing.
    pub(super) fn deadline(&self, head: Duration, idle: Duration) -> Option<Instant> {
        if self.in_flight.load(Relaxed) > 0 || self.began_a_head.load(Relaxed) {
            return None;
        }
        let is_idle =
            self.has_had_request.load(Relaxed) && (self.is_http2.load(Relaxed) || !self.unsettled.load(Relaxed));
        Some(self.since() + if is_idle { idle } else { head })
    }

    fn since(&self) -> Instant {
        self.born + Duration::from_millis(self.since.load(Relaxed))
    }

    fn wait_from_now(&self) {
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(age, Relaxed);
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Flight(Arc<Activity>);

impl Flight {
    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.wait_from_now();
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(75);

    /// The clock of a head begins with its first byte, that of an idle connection with the end of the last response.
    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_for_a_head_or_for_a_request() {
        let activity = Arc::new(Activity::new(false));
        let start = Instant::now();
        let left = || activity.deadline(HEAD, IDLE).map(|deadline| deadline - start);
        activity.heard(b"GET");
        assert_eq!(left(), Some(HEAD));
        tokio::time::advance(Duration::from_secs(10)).await;
        activity.heard(b"GET");
        assert_eq!(left(), Some(HEAD));
        let flight = activity.begin();
        assert_eq!(left(), None);
        tokio::time::advance(Duration::from_secs(100)).await;
        drop(flight);
        assert_eq!(left(), Some(Duration::from_secs(110) + IDLE));
        tokio::time::advance(Duration::from_secs(40)).await;
        activity.sent(false);
        assert_eq!(left(), Some(Duration::from_secs(110) + IDLE));
        // A slow client still takes what is buffered.
        activity.sent(true);
        assert_eq!(left(), Some(Duration::from_secs(150) + IDLE));
        tokio::time::advance(Duration::from_secs(20)).await;
        activity.heard(b"GET");
        activity.listens();
        assert_eq!(left(), Some(Duration::from_secs(170) + HEAD));
    }

    /// HTTP/2 peers ping one another, which is no request.
    #[tokio::test(start_paused = true)]
    async fn frames_are_no_heads() {
        let activity = Arc::new(Activity::new(false));
        let start = Instant::now();
        activity.is_http2();
        drop(activity.begin());
        tokio::time::advance(Duration::from_secs(20)).await;
        activity.heard(b"GET");
        assert_eq!(activity.deadline(HEAD, IDLE).map(|deadline| deadline - start), Some(IDLE));
    }
}
