//! The response body, as the server sees it.
//!
//! Threads: runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::body::pump::BodyGuard;
use crate::observe::access::Access;
use crate::observe::timing::Timing;
use crate::response::file::FileStream;
use crate::response::message::{Inbox, LARGEST_FRAME, Message};
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
    kind: Kind,
    /// A failure to be reported later: the number of polls left in which the server may flush first.
    failing: Option<u8>,
    access: Option<Box<Access>>,
}

enum Kind {
    /// All bytes are here, or all have been sent.
    Whole(Bytes),
    /// The application is still producing it.
    Stream(Stream),
    /// The application has returned, and left a file to send.
    File(FileStream),
    /// Answer to HEAD, or a status without a body: no frames, and no length, so that no server adds a `Content-Length:
    /// 0` (RFC 9110 §9.3.2).
    Bodiless,
}

struct Stream {
    inbox: Inbox,
    /// Makes the application's reads fail as soon as the client has disconnected.
    upload: Option<BodyGuard>,
    /// The rest of the declared length.
    remaining: Option<u64>,
    /// When the message is broken off, and the timing that records it.
    deadline: Option<Box<Deadline>>,
    state: State,
}

pub(crate) type Deadline = (Timer, Option<Arc<Timing>>);

/// How often a server may flush before a failure is reported. One flush is enough for a socket that takes everything,
/// but tokio's cooperative budget may not let the server write it all at once.
const FLUSHES: u8 = 8;

#[derive(PartialEq)]
enum State {
    Open,
    Ended,
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::new(Kind::Whole(bytes))
    }

    pub(crate) fn file(file: FileStream) -> Self {
        Self::new(Kind::File(file))
    }

    pub(crate) fn bodiless() -> Self {
        Self::new(Kind::Bodiless)
    }

    /// A body that follows in chunks; `length` is the declared length.
    pub(crate) fn stream(
        inbox: Inbox,
        mut upload: Option<BodyGuard>,
        length: Option<u64>,
        deadline: Option<Deadline>,
    ) -> Self {
        if length == Some(0)
            && let Some(upload) = upload.take()
        {
            // Complete with its head: the server drops such a body at once, and that drop is no disconnect.
            upload.release();
        }
        Self::new(Kind::Stream(Stream {
            inbox,
            upload,
            remaining: length,
            deadline: deadline.map(Box::new),
            state: State::Open,
        }))
    }

    fn new(kind: Kind) -> Self {
        Self { kind, failing: None, access: None }
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

    /// Whether to report a failure in a later poll. hyper drops unflushed bytes when a body fails; the bytes sent
    /// before the failure should reach the client as far as its socket takes them.
    fn puts_off_failure(&mut self, cx: &Context<'_>) -> bool {
        let rounds = self.failing.unwrap_or(FLUSHES);
        if rounds == 0 {
            self.kind = Kind::Bodiless;
            self.failing = None;
            return false;
        }
        self.failing = Some(rounds - 1);
        cx.waker().wake_by_ref();
        true
    }

    /// Whether the server has all bytes, even if it does not poll for the end.
    fn has_nothing_to_send(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => {
                self.failing.is_none() && (stream.state == State::Ended || stream.remaining == Some(0))
            }
            Kind::File(file) => file.is_complete(),
            Kind::Bodiless => true,
        }
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
        let mut frame = match (self.failing, &mut self.kind) {
            (Some(_), _) => Poll::Ready(Some(Err(Aborted))),
            (None, Kind::Whole(bytes)) if bytes.is_empty() => Poll::Ready(None),
            // In parts: a server keeps the whole buffer it was given until the last byte is sent.
            (None, Kind::Whole(bytes)) => {
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(bytes.len().min(LARGEST_FRAME))))))
            }
            (None, Kind::Stream(stream)) => stream.poll_frame(cx),
            (None, Kind::File(file)) => file.poll_frame(cx),
            (None, Kind::Bodiless) => Poll::Ready(None),
        };
        if matches!(frame, Poll::Ready(Some(Err(Aborted)))) && self.puts_off_failure(cx) {
            frame = Poll::Pending;
        }
        let is_last = self.has_nothing_to_send();
        if let Some(access) = &mut self.access {
            access.observe(&frame);
            if is_last && matches!(frame, Poll::Ready(Some(Ok(_)))) {
                access.complete();
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => self.failing.is_none() && stream.state == State::Ended,
            Kind::File(file) => file.is_complete(),
            // Only `poll_frame` reports the end: servers take an ended body for an empty one and declare its length.
            Kind::Bodiless => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // Only the head's Content-Length states the length.
            Kind::Stream(_) | Kind::File(_) | Kind::Bodiless => SizeHint::default(),
        }
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.state {
            State::Ended => return Poll::Ready(None),
            State::Open => {}
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
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Some(Ok(Message::Trailers(fields)))) => {
                self.complete();
                Poll::Ready(Some(Ok(Frame::trailers(*fields))))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(Aborted))) => self.abort(),
            // The future has taken the only head: a second one is a bug of this crate, and must not look like success.
            Poll::Ready(Some(Ok(_))) => self.abort(),
        }
    }

    /// Waits for the application, until the deadline if there is one.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let Some((deadline, timing)) = self.deadline.as_deref_mut() else { return Poll::Pending };
        std::task::ready!(deadline.poll(cx));
        if let Some(timing) = timing {
            timing.late();
        }
        // Dropping the guard makes the application's next read fail.
        self.upload = None;
        self.abort()
    }

    /// The client has the complete message: a disconnect from now on loses nothing.
    fn complete(&mut self) {
        self.state = State::Ended;
        if let Some(upload) = self.upload.take() {
            upload.release();
        }
    }

    fn abort(&mut self) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        self.state = State::Ended;
        Poll::Ready(Some(Err(Aborted)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Whole(_) => "Whole",
            Kind::Stream(_) => "Stream",
            Kind::File(_) => "File",
            Kind::Bodiless => "Bodiless",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

/// The application failed after its response had begun. The message is broken off, so that no client takes it for
/// complete.
///
/// The failure itself is logged, and not sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application failed before its response was complete")
    }
}

impl std::error::Error for Aborted {}
