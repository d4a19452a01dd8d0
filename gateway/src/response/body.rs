//! The response body, as the server sees it.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::body::pump::BodyGuard;
use crate::observe::access::Access;
use crate::observe::outcome::RequestOutcome;
use crate::response::file::FileStream;
use crate::response::message::{Inbox, LARGEST_FRAME, Message};
use crate::response::passed_body::PassedBody;
use crate::timer::Timer;

/// The body of a gateway's response: an [`http_body::Body`] of [`Bytes`].
///
/// It ends cleanly only when the application's thread has stated a complete end, or when all of a declared length has
/// been sent. Otherwise it ends in [`Aborted`], which makes the server break the message off: the connection on HTTP/1,
/// the stream on HTTP/2.
///
/// Dropping it before its end tells the application that the client has disconnected.
///
/// # Example
///
/// Below an axum router, it is boxed like any other body. A service of one's own can inspect it:
///
/// ```
/// use bytes::Bytes;
/// use gateway::{Body, Gateway};
/// use http::{Request, Response};
/// use http_body::Body as _;
/// use tower_service::Service as _;
///
/// async fn length(mut gateway: Gateway) -> Option<u64> {
///     let request = Request::new(axum::body::Body::empty());
///     let Ok(response): Result<Response<Body>, std::convert::Infallible> = gateway.call(request).await;
///     response.body().size_hint().exact()
/// }
/// # let app = gateway::application_fn(|_, start_response| {
/// #     start_response("200 OK", &[])?;
/// #     Ok(gateway::Chunks::new([Bytes::from("hello")]))
/// # });
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # assert_eq!(runtime.block_on(length(Gateway::new(app))), Some(5));
/// ```
pub struct Body {
    kind: BodyKind,
    access: Option<Box<Access>>,
}

enum BodyKind {
    /// All bytes are here, or all have been sent.
    Whole(Bytes),
    /// The application is still producing it.
    Stream(MessageStream),
    /// The application has returned, and left a file to send.
    File(FileStream),
    /// The body of a handler's response, or of a rejection.
    Passed(Box<PassedBody>),
    /// The message has failed, which is reported after this number of polls, in which the server may flush.
    Failing(u8),
    /// Answer to HEAD, or a status without a body: no frames, and no length, so that no server adds a `Content-Length:
    /// 0` (RFC 9110 §9.3.2).
    Bodiless,
}

struct MessageStream {
    inbox: Inbox,
    /// Makes the application's reads fail as soon as the client has disconnected.
    upload: Option<BodyGuard>,
    /// The rest of the declared length.
    remaining: Option<u64>,
    /// When the message is broken off.
    deadline: Option<Timer>,
    has_ended: bool,
}

/// How often a server may flush before a failure is reported. One flush is enough for a socket that takes everything,
/// but tokio's cooperative budget may not let the server write it all at once.
const FLUSHES: u8 = 8;

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::new(BodyKind::Whole(bytes))
    }

    pub(crate) fn file(file: FileStream) -> Self {
        Self::new(BodyKind::File(file))
    }

    /// A body that needs no thread.
    pub(crate) fn passed(body: PassedBody) -> Self {
        Self::new(BodyKind::Passed(Box::new(body)))
    }

    pub(crate) fn bodiless() -> Self {
        Self::new(BodyKind::Bodiless)
    }

    /// A body that follows in chunks; `length` is the declared length.
    pub(crate) fn stream(
        inbox: Inbox,
        upload: Option<BodyGuard>,
        length: Option<u64>,
        deadline: Option<Timer>,
    ) -> Self {
        Self::new(BodyKind::Stream(MessageStream { inbox, upload, remaining: length, deadline, has_ended: false }))
    }

    fn new(kind: BodyKind) -> Self {
        Self { kind, access: None }
    }

    /// The same body, which records its end in `access`.
    pub(crate) fn recorded(mut self, access: Option<Box<Access>>) -> Self {
        self.access = access;
        if self.has_nothing_to_send()
            && let Some(access) = &mut self.access
        {
            access.complete();
        }
        self
    }

    /// Reports a failure once the server had a chance to flush. hyper drops unflushed bytes when a body fails; the
    /// bytes sent before the failure should reach the client as far as its socket takes them.
    fn fail(&mut self, flushes: u8, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(flushes) = flushes.checked_sub(1) {
            self.kind = BodyKind::Failing(flushes);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.kind = BodyKind::Bodiless;
        Poll::Ready(Some(Err(Aborted)))
    }

    /// Whether the server has all bytes, even if it does not poll for the end.
    fn has_nothing_to_send(&self) -> bool {
        matches!(self.kind, BodyKind::Bodiless) || http_body::Body::is_end_stream(self)
    }
}

/// A body without bytes.
impl Default for Body {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let frame = match &mut self.kind {
            BodyKind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            // In parts: a server keeps the whole buffer it was given until the last byte is sent.
            BodyKind::Whole(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(bytes.len().min(LARGEST_FRAME))))))
            }
            BodyKind::Stream(stream) => stream.poll_frame(cx),
            BodyKind::File(file) => file.poll_frame(cx),
            BodyKind::Passed(body) => body.poll_frame(cx),
            BodyKind::Failing(flushes) => {
                let flushes = *flushes;
                return self.fail(flushes, cx);
            }
            BodyKind::Bodiless => Poll::Ready(None),
        };
        let frame = match std::task::ready!(frame) {
            Some(Ok(frame)) => Some(frame),
            Some(Err(outcome)) => {
                if let Some(access) = &mut self.access {
                    access.end(outcome);
                }
                return self.fail(FLUSHES, cx);
            }
            None => None,
        };
        let is_last = self.has_nothing_to_send();
        if let Some(access) = &mut self.access {
            if let Some(frame) = &frame {
                access.count(frame.data_ref().map_or(0, Bytes::len));
            }
            if is_last {
                access.complete();
            }
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Whole(bytes) => bytes.is_empty(),
            BodyKind::Stream(stream) => stream.has_ended,
            BodyKind::File(file) => file.is_complete(),
            BodyKind::Passed(body) => body.is_complete(),
            // Only `poll_frame` reports the end: servers take an ended body for an empty one and declare its length.
            BodyKind::Failing(_) | BodyKind::Bodiless => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyKind::Passed(body) => body.size_hint(),
            // Only the head's Content-Length states the length.
            BodyKind::Stream(_) | BodyKind::File(_) | BodyKind::Failing(_) | BodyKind::Bodiless => SizeHint::default(),
        }
    }
}

impl MessageStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let message = loop {
            match self.inbox.poll_pull(cx) {
                // The client has taken the chunks that this memory was reserved for.
                Poll::Ready(Some(Ok(Message::Reserved(reserved)))) => drop(reserved),
                message => break message,
            }
        };
        match message {
            Poll::Pending => self.poll_deadline(cx),
            Poll::Ready(Some(Ok(Message::Chunk(bytes)))) => {
                if let Some(remaining) = &mut self.remaining {
                    *remaining = remaining.saturating_sub(bytes.len() as u64);
                    if *remaining == 0 {
                        self.complete();
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(bytes.into_bytes()))))
            }
            Poll::Ready(Some(Ok(Message::Trailers(fields)))) => {
                self.complete();
                Poll::Ready(Some(Ok(Frame::trailers(*fields))))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(outcome))) => self.abort(outcome),
            // The future has taken the only head: a second one is a bug of this crate, and must not look like success.
            Poll::Ready(Some(Ok(_))) => self.abort(RequestOutcome::Aborted),
        }
    }

    /// Waits for the application, until the deadline if there is one. The pipe has the waker of the task.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        std::task::ready!(deadline.poll(cx));
        // Dropping the guard makes the application's next read fail.
        self.upload = None;
        self.abort(RequestOutcome::Deadline)
    }

    /// The client has the complete message: a disconnect from now on loses nothing.
    fn complete(&mut self) {
        self.has_ended = true;
        if let Some(upload) = self.upload.take() {
            upload.release();
        }
    }

    fn abort(&mut self, outcome: RequestOutcome) -> Poll<Option<Result<Frame<Bytes>, RequestOutcome>>> {
        self.has_ended = true;
        Poll::Ready(Some(Err(outcome)))
    }
}

partial_debug!(Body);

/// The application failed after its response had begun. The message is broken off, so that no client takes it for
/// complete.
///
/// The failure itself is logged, and not sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Aborted;

error_text!(Aborted, "the application failed before its response was complete");
