//! From the service call to the response head.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Response, StatusCode};

use crate::executor::Refused;
use crate::request::Upload;
use crate::response::message::{Inbox, Message};
use crate::response::{Body, refusal};

/// The future of one request. Created by [`Gateway`](crate::Gateway)'s `call`.
///
/// Resolves when the application has sent its head, or has failed before it; never fails itself. Dropping it tells the
/// application that the client has gone, and a job that has not begun by then never runs.
#[must_use = "a dropped future counts as a client that has gone"]
pub struct ResponseFuture {
    /// The request was HEAD: no answer has a body.
    head_request: bool,
    state: State,
}

enum State {
    /// Answered without the application.
    Refused(StatusCode),
    /// The request body is being read ahead.
    Preparing(Pin<Box<dyn Future<Output = Pending> + Send>>),
    /// The job is with the executor, or waits there for room.
    Waiting(Pending),
    Done,
}

/// The runtime's side of a job that has been handed over, or is about to be.
pub(crate) struct Pending {
    pub(crate) inbox: Inbox,
    pub(crate) upload: Option<Upload>,
    /// The executor's own word, if it takes its time. The response may well come first.
    pub(crate) admission: Option<Admission>,
}

pub(crate) type Admission = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

impl ResponseFuture {
    pub(crate) fn refused(method: &Method, status: StatusCode) -> Self {
        Self { head_request: method == Method::HEAD, state: State::Refused(status) }
    }

    pub(crate) fn waiting(method: &Method, pending: Pending) -> Self {
        Self { head_request: method == Method::HEAD, state: State::Waiting(pending) }
    }

    pub(crate) fn preparing(method: &Method, preparation: impl Future<Output = Pending> + Send + 'static) -> Self {
        Self { head_request: method == Method::HEAD, state: State::Preparing(Box::pin(preparation)) }
    }

    fn refuse(&self, status: StatusCode) -> Response<Body> {
        let (head, body) = refusal(status);
        head.into_response(if self.head_request { Body::bodiless() } else { Body::whole(body) })
    }

    fn respond(&self, message: Option<Message>, pending: Pending) -> Response<Body> {
        let Pending { inbox, upload, .. } = pending;
        let response = match message {
            // From here on it is the body that speaks for the client.
            Some(Message::Head(head, length)) => return head.into_response(Body::stream(inbox, upload, length)),
            Some(Message::Whole(head, bytes)) => head.into_response(Body::whole(bytes)),
            Some(Message::Bodiless(head)) => head.into_response(Body::bodiless()),
            // The job was dropped before it ran: its executor has shut down.
            Some(Message::Chunk(_)) | None => self.refuse(StatusCode::SERVICE_UNAVAILABLE),
        };
        if let Some(upload) = upload {
            upload.release();
        }
        response
    }
}

impl Pending {
    /// The first message; an error if the executor refuses the job.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Refused>> {
        if let Some(admission) = &mut self.admission
            && let Poll::Ready(admitted) = admission.as_mut().poll(cx)
        {
            self.admission = None;
            if let Err(refused) = admitted {
                return Poll::Ready(Err(refused));
            }
        }
        self.inbox.poll_pull(cx).map(|message| Ok(message.and_then(Result::ok)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.state {
                State::Preparing(preparation) => {
                    self.state = State::Waiting(std::task::ready!(preparation.as_mut().poll(cx)));
                }
                State::Waiting(pending) => {
                    let first = std::task::ready!(pending.poll(cx));
                    let state = std::mem::replace(&mut self.state, State::Done);
                    return Poll::Ready(Ok(match (first, state) {
                        (Ok(message), State::Waiting(pending)) => self.respond(message, pending),
                        // With the executor's refusal goes the job.
                        _ => self.refuse(StatusCode::SERVICE_UNAVAILABLE),
                    }));
                }
                State::Refused(status) => {
                    let status = *status;
                    self.state = State::Done;
                    return Poll::Ready(Ok(self.refuse(status)));
                }
                State::Done => panic!("`ResponseFuture` polled after completion"),
            }
        }
    }
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
