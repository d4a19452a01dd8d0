//! From the service call to the response head.
//!
//! Threads: runtime.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};

use crate::body::pump::BodyGuard;
use crate::executor::{DropReason, Refused};
use crate::log::Span;
use crate::observe::access::Access;
use crate::observe::outcome::Outcome;
use crate::observe::timing::Timing;
use crate::response::body::Body;
use crate::response::error_page::ErrorPage;
use crate::response::head::ResponseHead;
use crate::response::message::{Answer, Inbox, Message};
use crate::service::mount::Mount;
use crate::timer::Timer;

/// The future of one request. Created by [`Gateway`](crate::Gateway)'s `call`.
///
/// Resolves when the application has sent its head, or has failed before it; never fails itself. Dropping the future
/// tells the application that the client has disconnected; a job that has not begun by then never runs.
#[must_use = "a dropped future counts as a client that has gone"]
pub struct ResponseFuture {
    /// The request was HEAD: no answer has a body.
    head_request: bool,
    page: ErrorPage,
    span: Span,
    access: Option<Box<Access>>,
    keep_alive: KeepAlive,
    state: State,
}

enum State {
    /// The gateway answers without the application.
    Refused(StatusCode),
    /// The request body is being read ahead.
    Preparing(Pin<Box<dyn Future<Output = Result<Pending, StatusCode>> + Send>>),
    /// The job is with the executor, or waits to be accepted.
    Waiting(Pending),
    Done,
}

/// The runtime's side of a job that has been or is about to be handed over.
pub(crate) struct Pending {
    pub(crate) inbox: Inbox,
    pub(crate) upload: Option<BodyGuard>,
    /// How long the job may stay in the queue. `None` once it cannot expire.
    pub(crate) line: Option<Timer>,
    /// When the response has to be complete.
    pub(crate) deadline: Option<Timer>,
    /// The executor's pending admission of the job. The response may come before it.
    pub(crate) admission: Option<Admission>,
    pub(crate) mount: Arc<Mount>,
    pub(crate) timing: Option<Arc<Timing>>,
}

pub(crate) type Admission = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// Decides whether the connection can be kept after the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) version: Version,
    /// There is a body, and the server leaves it to the gateway to end the connection if the body stays unread.
    pub(crate) is_ours_to_say: bool,
}

impl KeepAlive {
    /// Whether the connection ends with the answer of an application that has returned, or was never called.
    fn ends_without_reader(self, upload: Option<&BodyGuard>) -> bool {
        // The rest of the body will not be read (RFC 9112 §9.6).
        self.version < Version::HTTP_2 && upload.is_some_and(|upload| !upload.is_complete())
    }

    /// Whether the connection ends with a streamed response.
    fn ends_with_stream(self, upload: Option<&BodyGuard>, length: Option<u64>) -> bool {
        // An application that has not asked for the body by now is assumed never to. The gateway can no longer ask a
        // client that waits for `100 Continue`.
        let is_never_asked = upload.is_some_and(|upload| !upload.is_wanted() && !upload.is_complete());
        // On HTTP/1.0 the end of a body without a length is the end of the connection.
        let is_close_delimited = self.version < Version::HTTP_11 && length.is_none();
        self.version < Version::HTTP_2 && is_never_asked || is_close_delimited
    }
}

/// The part of a request that its future needs.
pub(crate) struct RequestMeta {
    pub(crate) head_request: bool,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) page: ErrorPage,
    pub(crate) span: Span,
    pub(crate) access: Option<Box<Access>>,
}

impl ResponseFuture {
    pub(crate) fn refused(meta: RequestMeta, status: StatusCode) -> Self {
        Self::new(meta, State::Refused(status))
    }

    pub(crate) fn waiting(meta: RequestMeta, pending: Pending) -> Self {
        Self::new(meta, State::Waiting(pending))
    }

    pub(crate) fn preparing(
        meta: RequestMeta,
        preparation: impl Future<Output = Result<Pending, StatusCode>> + Send + 'static,
    ) -> Self {
        Self::new(meta, State::Preparing(Box::pin(preparation)))
    }

    fn new(RequestMeta { head_request, keep_alive, page, span, access }: RequestMeta, state: State) -> Self {
        Self { head_request, keep_alive, page, span, access, state }
    }

    /// The gateway's own answer to a request whose job did not run in time.
    fn turn_away(&mut self, outcome: Outcome, mount: &Mount) -> Response<Body> {
        let executor = mount.executor();
        if outcome == Outcome::Deadline {
            return self.refuse(StatusCode::GATEWAY_TIMEOUT, outcome);
        }
        if outcome == Outcome::Expired {
            executor.dropped(DropReason::Expired);
        }
        let mut response = self.refuse(StatusCode::SERVICE_UNAVAILABLE, outcome);
        if let Some(after) = executor.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds(after));
        }
        response
    }

    /// The gateway's own answer.
    fn refuse(&mut self, status: StatusCode, outcome: Outcome) -> Response<Body> {
        let (head, body) = self.span.in_scope(|| self.page.answer(status));
        let body = if self.head_request { Body::bodiless() } else { Body::whole(body) };
        self.answer(head, body, outcome)
    }

    fn answer(&mut self, head: ResponseHead, body: Body, outcome: Outcome) -> Response<Body> {
        let mut access = self.access.take();
        if let Some(access) = &mut access {
            access.answer(head.status(), outcome);
        }
        head.into_response(body.recorded(access))
    }

    fn respond(&mut self, message: Option<Message>, pending: Pending) -> Response<Body> {
        let Pending { inbox, upload, deadline, timing, mount, .. } = pending;
        let mut response = match message {
            // From here on the body represents the client.
            Some(Message::Head(head, length)) => {
                let ends = self.keep_alive.ends_with_stream(upload.as_ref(), length);
                let body = Body::stream(inbox, upload, length, deadline.map(|deadline| (deadline, timing)));
                let mut response = self.answer(*head, body, Outcome::Complete);
                if ends {
                    end_connection(&mut response, self.keep_alive.version);
                }
                return response;
            }
            Some(Message::Whole(mut slot)) => match slot.answer_mut().take() {
                Some(Answer { mut head, body }) => {
                    head.set_length(body.len() as u64);
                    self.answer(head, Body::whole(body), Outcome::Complete)
                }
                // A slot returns with an answer. A slot without one is a bug of this crate, and must not look like
                // success.
                None => self.refuse(StatusCode::INTERNAL_SERVER_ERROR, Outcome::Error),
            },
            Some(Message::File(file)) => {
                let (head, file) = *file;
                self.answer(head, Body::file(file), Outcome::Complete)
            }
            Some(Message::Bodiless(head)) => self.answer(*head, Body::bodiless(), Outcome::Complete),
            Some(Message::Failure(StatusCode::GATEWAY_TIMEOUT)) => {
                self.refuse(StatusCode::GATEWAY_TIMEOUT, Outcome::Deadline)
            }
            Some(Message::Failure(status)) => self.refuse(status, Outcome::Error),
            // The job was dropped before it ran: its executor has shut down.
            Some(Message::Chunk(_) | Message::Trailers(_) | Message::Reserved(_)) | None => {
                self.turn_away(Outcome::Shed, &mount)
            }
        };
        if self.keep_alive.ends_without_reader(upload.as_ref()) {
            end_connection(&mut response, self.keep_alive.version);
        }
        if let Some(upload) = upload {
            upload.release();
        }
        response
    }
}

impl Pending {
    /// The first message, or why the job never runs.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Outcome>> {
        if let Some(admission) = &mut self.admission
            && let Poll::Ready(admitted) = admission.as_mut().poll(cx)
        {
            self.admission = None;
            // A refused job has been dropped.
            if let Err(Refused { .. }) = admitted {
                return Poll::Ready(Err(Outcome::Shed));
            }
        }
        if let Poll::Ready(message) = self.inbox.poll_pull(cx) {
            return Poll::Ready(Ok(message.and_then(Result::ok)));
        }
        if let Poll::Ready(outcome) = self.poll_line(cx) {
            return Poll::Ready(Err(outcome));
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        std::task::ready!(deadline.poll(cx));
        if self.inbox.close_unless_begun() {
            // The job waited too long in the queue: the application was not late.
            self.mount.executor().dropped(DropReason::Expired);
        }
        Poll::Ready(Err(Outcome::Deadline))
    }

    /// Ready when the job has been queued for too long.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        // Read after `poll_pull` has registered the waker: a delay reported later wakes this task.
        if self.line.is_none() && self.inbox.is_delayed() {
            // The job was promised a thread at once, and did not get one.
            self.line = self.mount.executor().longest_wait().map(Timer::new);
        }
        let Some(line) = self.line.as_mut().filter(|_| !self.inbox.has_begun()) else {
            self.line = None;
            return Poll::Pending;
        };
        std::task::ready!(line.poll(cx));
        self.line = None;
        // A thread may take the job now. One lock decides: the thread finds the pipe closed, or the job runs.
        if self.inbox.close_unless_begun() { Poll::Ready(Outcome::Expired) } else { Poll::Pending }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.state {
                State::Preparing(preparation) => {
                    self.state = match std::task::ready!(preparation.as_mut().poll(cx)) {
                        Ok(pending) => State::Waiting(pending),
                        Err(status) => State::Refused(status),
                    };
                }
                State::Waiting(pending) => {
                    let first = std::task::ready!(pending.poll(cx));
                    let state = std::mem::replace(&mut self.state, State::Done);
                    return Poll::Ready(Ok(match (first, state) {
                        (Ok(message), State::Waiting(pending)) => self.respond(message, pending),
                        (Err(outcome), State::Waiting(pending)) => {
                            let mut response = self.turn_away(outcome, &pending.mount);
                            if self.keep_alive.ends_without_reader(pending.upload.as_ref()) {
                                end_connection(&mut response, self.keep_alive.version);
                            }
                            response
                        }
                        (_, _) => self.refuse(StatusCode::SERVICE_UNAVAILABLE, Outcome::Shed),
                    }));
                }
                State::Refused(status) => {
                    let status = *status;
                    self.state = State::Done;
                    let is_full = status == StatusCode::SERVICE_UNAVAILABLE;
                    let mut response = self.refuse(status, if is_full { Outcome::Shed } else { Outcome::Refused });
                    if self.keep_alive.is_ours_to_say {
                        end_connection(&mut response, self.keep_alive.version);
                    }
                    return Poll::Ready(Ok(response));
                }
                State::Done => panic!("`ResponseFuture` polled after completion"),
            }
        }
    }
}

impl Drop for ResponseFuture {
    fn drop(&mut self) {
        let is_called = match &self.state {
            State::Preparing(_) => false,
            State::Waiting(pending) => pending.inbox.has_begun(),
            State::Refused(_) | State::Done => true,
        };
        if is_called {
            return;
        }
        if let State::Waiting(pending) = &self.state {
            pending.mount.executor().dropped(DropReason::Cancelled);
        }
        if let Some(access) = &mut self.access {
            access.cancel();
        }
    }
}

/// Ends the connection after the response (RFC 9112 §9.6).
pub(crate) fn end_connection<B>(response: &mut Response<B>, version: Version) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if version == Version::HTTP_10 {
        // To a response of version 1.1 hyper adds the `keep-alive` that an HTTP/1.0 client asks for.
        *response.version_mut() = Version::HTTP_10;
    }
}

/// Whole seconds, at least one and at most an hour.
fn seconds(after: Duration) -> HeaderValue {
    HeaderValue::from(after.as_nanos().div_ceil(1_000_000_000).clamp(1, 3600) as u64)
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "Refused",
            State::Preparing(_) => "Preparing",
            State::Waiting(_) => "Waiting",
            State::Done => "Done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
