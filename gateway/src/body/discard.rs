//! Discards the unread rest of a request body, for servers that do not.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::time::Duration;

use bytes::Buf as _;
use http_body::Body;
use tokio::runtime::Handle;

/// How much is read for nothing, and for how long. A rest that is larger costs the connection, and so does one that
/// does not come.
const MOST_DISCARDED: u64 = 1024 * 1024;
const LONGEST_DISCARD: Duration = Duration::from_secs(2);

/// Reads on, in a task of its own, when the response does not depend on the body any more.
///
/// A server that closes a connection with unread bytes makes its system reset it, and with the reset goes whatever of
/// the response the client has not got by then (RFC 9112 §9.6). Reading on avoids that, and keeps the connection for
/// the next request.
pub(crate) fn drain<B>(body: Pin<Box<B>>, remaining: Option<u64>)
where
    B: Body + Send + 'static,
{
    if body.is_end_stream() {
        return;
    }
    // Without a runtime there is no connection either.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            // However it ends, there is nothing more to do.
            let _ = tokio::time::timeout(LONGEST_DISCARD, discard(body, remaining)).await;
        });
    }
}

/// `remaining` is what is left of a declared length: not every server says where it ends.
async fn discard<B: Body>(mut body: Pin<Box<B>>, remaining: Option<u64>) {
    let mut left = remaining.unwrap_or(u64::MAX).min(MOST_DISCARDED);
    while left > 0 {
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            Some(Ok(frame)) => left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining() as u64)),
            Some(Err(_)) | None => break,
        }
    }
}
