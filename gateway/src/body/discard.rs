//! Discards the unread rest of a request body, for servers that do not.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::time::Duration;

use bytes::Buf as _;
use http_body::Body;
use tokio::runtime::Handle;

/// The limits of a discard, in bytes and time. Beyond either, the connection ends.
const MOST_DISCARDED: u64 = 1024 * 1024;
const LONGEST_DISCARD: Duration = Duration::from_secs(2);

/// Discards the rest of a body in a separate task, once the response does not depend on the body.
///
/// If a server closes a connection with unread bytes, the system resets it, and the client may lose the part of the
/// response that it has not received (RFC 9112 §9.6). Discarding the rest prevents the reset, and keeps the connection
/// for the next request.
pub(crate) fn discard_in_task<B>(body: Pin<Box<B>>, remaining: Option<u64>)
where
    B: Body + Send + 'static,
{
    if body.is_end_stream() {
        return;
    }
    // Without a runtime there is no connection.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            // Whatever the result, there is nothing more to do.
            let _ = tokio::time::timeout(LONGEST_DISCARD, discard(body, remaining)).await;
        });
    }
}

/// `remaining` is the rest of the declared length: some servers do not report the end of the body.
async fn discard<B: Body>(mut body: Pin<Box<B>>, remaining: Option<u64>) {
    let mut left = remaining.unwrap_or(u64::MAX).min(MOST_DISCARDED);
    while left > 0 {
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            Some(Ok(frame)) => left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining() as u64)),
            Some(Err(_)) | None => break,
        }
    }
}
