//! From the service call to the response head.
//!
//! Threads: runtime.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::body::pump::BodyGuard;
use crate::executor::{DropReason, Refused};
use crate::log::{self, Span};
use crate::observe::access::Access;
use crate::observe::outcome::RequestOutcome;
use crate::refusal::Refusal;
use crate::response::body::Body;
use crate::response::error_page::ErrorPage;
use crate::response::head::ResponseHead;
use crate::response::message::{Inbox, Message, WholeBody, WholeResponse};
use crate::response::passed::PassedResponse;
use crate::response::passed_body::PassedBody;
use crate::service::keep_alive::{KeepAlive, end_connection};
use crate::service::mount::Mount;
use crate::timer::Timer;

/// The future of one request. Created by [`Gateway`](crate::Gateway)'s `call`.
///
/// Resolves when the application has sent its head, or has failed before it; never fails itself. Dropping the future
/// tells the application that the client has disconnected; a job that has not begun by then never runs.
#[must_use = "a dropped future counts as a disconnect of the client"]
pub struct ResponseFuture {
    meta: RequestMeta,
    stage: RequestStage,
}

/// How far a request has got.
enum RequestStage {
    /// The gateway answers without the application.
    NotDispatched(NotDispatched),
    /// The request body is being read ahead.
    Preparing(Preparation, Arc<Mount>),
    /// The extractors of a handler run.
    Extracting(Pin<Box<dyn Extract>>, Arc<Mount>),
    /// The job is with the executor, or waits to be accepted.
    Waiting(PendingResponse),
    Done,
}

/// Why a request has no job.
pub(crate) enum NotDispatched {
    Refused {
        refusal: Refusal,
        /// When there may be room, as far as the executor says so.
        retry_after: Option<Duration>,
    },
    /// An extractor of a handler has failed.
    Failed { refusal: Refusal, is_body_unread: bool },
    /// An extractor of a handler has rejected the request, with this response.
    Rejected { response: Box<PassedResponse>, is_body_unread: bool },
}

/// The runtime's side of a job that has been or is about to be handed over.
pub(crate) struct PendingResponse {
    pub(crate) inbox: Inbox,
    pub(crate) upload: Option<BodyGuard>,
    /// The extractors of a handler have dropped the body before its end.
    pub(crate) is_body_unread: bool,
    /// How long the job may stay in the queue. `None` if it cannot expire.
    pub(crate) queue_timeout: Option<Timer>,
    /// When the response has to be complete.
    pub(crate) deadline: Option<Timer>,
    /// The executor's pending admission of the job. The response may come before it.
    pub(crate) admission: Option<Admission>,
    pub(crate) mount: Arc<Mount>,
}

/// Reads the request body ahead, then hands the job over.
type Preparation = Pin<Box<dyn Future<Output = Result<PendingResponse, NotDispatched>> + Send>>;

/// The extractors of a handler. When they are done, the same memory is the call of the job.
pub(crate) trait Extract: Send {
    /// Runs the extractors.
    fn poll_extract(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), NotDispatched>>;

    /// Hands the job over, once the extractors are done.
    fn hand_over(self: Pin<Box<Self>>) -> PendingResponse;
}

pub(crate) type Admission = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// The part of a request that its future needs.
pub(crate) struct RequestMeta {
    /// The request was HEAD: no response has a body.
    pub(crate) head_request: bool,
    pub(crate) keep_alive: KeepAlive,
    /// The connection ends with the response. Decided when the response is made.
    pub(crate) ends_connection: bool,
    pub(crate) page: ErrorPage,
    pub(crate) span: Span,
    pub(crate) access: Option<Box<Access>>,
}

impl ResponseFuture {
    pub(crate) fn refused(meta: RequestMeta, refusal: Refusal) -> Self {
        Self { meta, stage: RequestStage::NotDispatched(NotDispatched::Refused { refusal, retry_after: None }) }
    }

    pub(crate) fn waiting(meta: RequestMeta, pending: PendingResponse) -> Self {
        Self { meta, stage: RequestStage::Waiting(pending) }
    }

    pub(crate) fn preparing(
        meta: RequestMeta,
        mount: &Arc<Mount>,
        preparation: impl Future<Output = Result<PendingResponse, NotDispatched>> + Send + 'static,
    ) -> Self {
        Self { meta, stage: RequestStage::Preparing(Box::pin(preparation), Arc::clone(mount)) }
    }

    pub(crate) fn extracting(meta: RequestMeta, mount: &Arc<Mount>, extraction: Pin<Box<dyn Extract>>) -> Self {
        Self { meta, stage: RequestStage::Extracting(extraction, Arc::clone(mount)) }
    }
}

impl RequestMeta {
    /// The gateway's own response.
    fn refuse(&mut self, Refusal { status, outcome, limit }: Refusal) -> Response<Body> {
        let (head, body) = self.span.in_scope(|| self.page.response(status, limit));
        let body = if self.head_request { Body::bodiless() } else { Body::whole(body) };
        self.respond_with(head, body, outcome)
    }

    /// The gateway's own response. If there was no room, it says when there may be.
    fn refuse_until(&mut self, refusal: Refusal, retry_after: Option<Duration>) -> Response<Body> {
        let mut response = self.refuse(refusal);
        if matches!(refusal.outcome, RequestOutcome::Shed | RequestOutcome::Expired)
            && let Some(after) = retry_after
        {
            response.headers_mut().insert(RETRY_AFTER, seconds(after));
        }
        response
    }

    /// The response to a request without a job.
    fn decline(&mut self, why: NotDispatched, cx: &mut Context<'_>) -> Response<Body> {
        let is_body_unread = match &why {
            NotDispatched::Refused { .. } => true,
            NotDispatched::Failed { is_body_unread, .. } | NotDispatched::Rejected { is_body_unread, .. } => {
                *is_body_unread
            }
        };
        self.ends_connection = is_body_unread && self.keep_alive.closes_if_unread;
        match why {
            NotDispatched::Refused { refusal, retry_after } => self.refuse_until(refusal, retry_after),
            NotDispatched::Failed { refusal, .. } => self.refuse(refusal),
            NotDispatched::Rejected { response, .. } => self.pass(*response, None, RequestOutcome::Refused, cx),
        }
    }

    /// A response with a body that needs no thread, to be complete by the deadline. `outcome` is the one of a response
    /// that is sent to its end.
    fn pass(
        &mut self,
        passed: PassedResponse,
        deadline: Option<Timer>,
        outcome: RequestOutcome,
        cx: &mut Context<'_>,
    ) -> Response<Body> {
        let PassedResponse { head, body, length } = passed;
        let body = if self.head_request || head.forbids_body() {
            Body::bodiless()
        } else {
            let mut body = PassedBody::new(body, length, deadline, self.span.clone());
            body.take_whole(cx).map_or_else(|| Body::passed(body), Body::whole)
        };
        self.respond_with(head, body, outcome)
    }

    /// `outcome` is the one of a response that is sent to its end.
    fn respond_with(&mut self, head: ResponseHead, body: Body, outcome: RequestOutcome) -> Response<Body> {
        let mut access = self.access.take();
        if let Some(access) = &mut access {
            access.respond(head.status(), outcome);
        }
        let mut response = head.into_response(body.recorded(access));
        if self.ends_connection {
            end_connection(&mut response, self.keep_alive.version);
        }
        response
    }

    /// The response that begins with this message, or with a refusal because the job never ran in time.
    fn respond(
        &mut self,
        first: Result<Message, Refusal>,
        pending: PendingResponse,
        cx: &mut Context<'_>,
    ) -> Response<Body> {
        let PendingResponse { inbox, upload, is_body_unread, deadline, mount, .. } = pending;
        let closes_if_unread = self.keep_alive.closes_if_unread && is_body_unread;
        self.ends_connection = closes_if_unread
            || match &first {
                Ok(Message::Head(_, length)) => self.keep_alive.ends_with_stream(upload.as_ref(), *length),
                _ => self.keep_alive.ends_without_reader(upload.as_ref()),
            };
        let first = match first {
            // From here on the body represents the client.
            Ok(Message::Head(head, length)) => {
                let body = Body::stream(inbox, upload, length, deadline);
                return self.respond_with(*head, body, RequestOutcome::Complete);
            }
            // Dropping the guard of the upload makes the read of a late application fail.
            Err(refusal) => return self.refuse_until(refusal, mount.executor().retry_after()),
            Ok(first) => first,
        };
        if let Some(upload) = upload {
            upload.release();
        }
        match first {
            Message::Whole(mut slot) => match slot.response_mut().take() {
                Some(WholeResponse { mut head, body }) => {
                    let bytes = match body {
                        WholeBody::Bytes(bytes) => bytes.into_bytes(),
                        WholeBody::Passed(body, length) => {
                            let passed = PassedResponse { head, body, length };
                            return self.pass(passed, deadline, RequestOutcome::Complete, cx);
                        }
                    };
                    head.set_length(bytes.len() as u64);
                    self.respond_with(head, Body::whole(bytes), RequestOutcome::Complete)
                }
                // A slot returns with a response. A slot without one is a bug of this crate, and must not look like
                // success.
                None => self.refuse(Refusal::of_failure(StatusCode::INTERNAL_SERVER_ERROR)),
            },
            Message::File(file) => {
                let (head, file) = *file;
                self.respond_with(head, Body::file(file), RequestOutcome::Complete)
            }
            Message::Bodiless(head) => self.respond_with(*head, Body::bodiless(), RequestOutcome::Complete),
            Message::Failure(refusal) => self.refuse(refusal),
            // No response begins with these: as above.
            Message::Head(..) | Message::Chunk(_) | Message::Trailers(_) | Message::Reserved(_) => {
                self.refuse(Refusal::of_failure(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }
}

impl PendingResponse {
    /// The first message, or why there is none.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Refusal>> {
        if let Some(admission) = &mut self.admission
            && let Poll::Ready(admitted) = admission.as_mut().poll(cx)
        {
            self.admission = None;
            // The drop of the refused job states that it never ran. It could be the job of another request.
            if let Err(refused) = admitted {
                log::panic_of!(drop(refused), "a job panicked when it was dropped");
            }
        }
        if let Poll::Ready(message) = self.inbox.poll_pull(cx) {
            return Poll::Ready(match message {
                Some(message) => message.map_err(Refusal::without_head),
                // A complete end without a head is a bug of this crate, and must not look like success.
                None => Err(Refusal::without_head(RequestOutcome::Complete)),
            });
        }
        if self.poll_queue_timeout(cx).is_ready() {
            self.mount.executor().dropped(DropReason::Expired);
            return Poll::Ready(Err(Refusal::EXPIRED));
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        std::task::ready!(deadline.poll(cx));
        if self.inbox.close_unless_begun() {
            // The job waited too long in the queue: the application was not late.
            self.mount.executor().dropped(DropReason::Expired);
        }
        Poll::Ready(Err(Refusal::DEADLINE))
    }

    /// Ready when the job has been queued for too long, and can no longer begin. The pipe has the waker of the task.
    fn poll_queue_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Read after `poll_pull` has registered the waker: a delay reported later wakes this task.
        if self.queue_timeout.is_none() && self.inbox.is_delayed() {
            // The job was promised a thread at once, and did not get one.
            self.queue_timeout = self.mount.executor().longest_wait().map(Timer::new);
        }
        let Some(timer) = self.queue_timeout.as_mut().filter(|_| !self.inbox.has_begun()) else {
            self.queue_timeout = None;
            return Poll::Pending;
        };
        std::task::ready!(timer.poll(cx));
        self.queue_timeout = None;
        // A thread may take the job now. One lock decides: the thread finds the pipe closed, or the job runs.
        if self.inbox.close_unless_begun() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { meta, stage } = &mut *self;
        loop {
            match stage {
                RequestStage::Preparing(preparation, _) => {
                    *stage = match std::task::ready!(preparation.as_mut().poll(cx)) {
                        Ok(pending) => RequestStage::Waiting(pending),
                        Err(not_dispatched) => RequestStage::NotDispatched(not_dispatched),
                    };
                }
                RequestStage::Extracting(extraction, _) => {
                    let extracted = std::task::ready!(extraction.as_mut().poll_extract(cx));
                    let RequestStage::Extracting(extraction, _) = std::mem::replace(stage, RequestStage::Done) else {
                        panic!("`ResponseFuture` has lost its extractors");
                    };
                    *stage = match extracted {
                        Ok(()) => RequestStage::Waiting(extraction.hand_over()),
                        Err(not_dispatched) => RequestStage::NotDispatched(not_dispatched),
                    };
                }
                RequestStage::Waiting(pending) => {
                    let first = std::task::ready!(pending.poll(cx));
                    let RequestStage::Waiting(pending) = std::mem::replace(stage, RequestStage::Done) else {
                        panic!("`ResponseFuture` has lost its job");
                    };
                    return Poll::Ready(Ok(meta.respond(first, pending, cx)));
                }
                RequestStage::NotDispatched(_) => {
                    let RequestStage::NotDispatched(why) = std::mem::replace(stage, RequestStage::Done) else {
                        panic!("`ResponseFuture` has lost its refusal");
                    };
                    return Poll::Ready(Ok(meta.decline(why, cx)));
                }
                RequestStage::Done => panic!("`ResponseFuture` polled after completion"),
            }
        }
    }
}

impl Drop for ResponseFuture {
    fn drop(&mut self) {
        let never_ran = match &self.stage {
            RequestStage::Preparing(_, mount) | RequestStage::Extracting(_, mount) => {
                Some((RequestOutcome::Cancelled, mount))
            }
            // A thread may take the job now: it either begins, or counts as cancelled.
            RequestStage::Waiting(pending) if pending.inbox.close_unless_begun() => {
                Some((RequestOutcome::Cancelled, &pending.mount))
            }
            // The pool may have dropped the job, and counted it.
            RequestStage::Waiting(pending) => {
                pending.inbox.failure().filter(|end| *end == RequestOutcome::Shed).map(|shed| (shed, &pending.mount))
            }
            RequestStage::NotDispatched(_) | RequestStage::Done => None,
        };
        if let Some((outcome, mount)) = never_ran {
            if outcome == RequestOutcome::Cancelled {
                mount.executor().dropped(DropReason::Cancelled);
            }
            if let Some(access) = &mut self.meta.access {
                access.end(outcome);
            }
        }
        if matches!(self.stage, RequestStage::Done) {
            return;
        }
        // An extractor, or a request body, has a destructor of its own.
        let stage = std::mem::replace(&mut self.stage, RequestStage::Done);
        log::panic_of!(drop(stage), "a request that was given up panicked when it was dropped");
    }
}

/// Whole seconds, at least one and at most an hour.
fn seconds(after: Duration) -> HeaderValue {
    HeaderValue::from(after.as_nanos().div_ceil(1_000_000_000).clamp(1, 3600) as u64)
}

partial_debug!(ResponseFuture);
