//! From the service call to the response head.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};

use crate::request::Upload;
use crate::response::message::{Inbox, Message};
use crate::response::{Body, refusal};

/// The future of one request. Created by [`Gateway`](crate::Gateway)'s `call`.
///
/// Resolves when the application has sent its head, or has failed before it; never fails itself. Dropping it tells the
/// application that the client has gone, and a job that has not begun by then never runs.
#[must_use = "a dropped future counts as a client that has gone"]
pub struct ResponseFuture {
    state: State,
}

enum State {
    /// Answered without the application.
    Refused(StatusCode),
    /// The request body is being read ahead, or the executor has no room yet.
    Admitting(Pin<Box<dyn Future<Output = Result<Reply, StatusCode>> + Send>>),
    /// The job is with the executor.
    Waiting(Reply),
    Done,
}

/// The runtime's side of a job that has been handed over.
#[derive(Debug)]
pub(crate) struct Reply {
    inbox: Inbox,
    upload: Option<Upload>,
}

impl Reply {
    pub(crate) fn new(inbox: Inbox, upload: Option<Upload>) -> Self {
        Self { inbox, upload }
    }
}

impl ResponseFuture {
    pub(crate) fn refused(status: StatusCode) -> Self {
        Self { state: State::Refused(status) }
    }

    pub(crate) fn waiting(reply: Reply) -> Self {
        Self { state: State::Waiting(reply) }
    }

    pub(crate) fn admitting(admission: impl Future<Output = Result<Reply, StatusCode>> + Send + 'static) -> Self {
        Self { state: State::Admitting(Box::pin(admission)) }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.state {
                State::Admitting(admission) => {
                    self.state = match std::task::ready!(admission.as_mut().poll(cx)) {
                        Ok(reply) => State::Waiting(reply),
                        Err(status) => State::Refused(status),
                    };
                }
                State::Waiting(reply) => {
                    let message = std::task::ready!(reply.inbox.poll_pull(cx));
                    let State::Waiting(reply) = std::mem::replace(&mut self.state, State::Done) else {
                        continue;
                    };
                    return Poll::Ready(Ok(respond(message.and_then(Result::ok), reply)));
                }
                State::Refused(status) => {
                    let (head, body) = refusal(*status);
                    self.state = State::Done;
                    return Poll::Ready(Ok(head.into_response(Body::whole(body))));
                }
                State::Done => panic!("`ResponseFuture` polled after completion"),
            }
        }
    }
}

fn respond(message: Option<Message>, reply: Reply) -> Response<Body> {
    let Reply { inbox, upload } = reply;
    let response = match message {
        // From here on it is the body that speaks for the client.
        Some(Message::Head(head, length)) => return head.into_response(Body::stream(inbox, upload, length)),
        Some(Message::Whole(head, bytes)) => head.into_response(Body::whole(bytes)),
        Some(Message::Bodiless(head)) => head.into_response(Body::bodiless()),
        // The job was dropped before it ran: the executor has shut down.
        Some(Message::Chunk(_)) | None => {
            let (head, body) = refusal(StatusCode::SERVICE_UNAVAILABLE);
            head.into_response(Body::whole(body))
        }
    };
    if let Some(upload) = upload {
        upload.release();
    }
    response
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "Refused",
            State::Admitting(_) => "Admitting",
            State::Waiting(_) => "Waiting",
            State::Done => "Done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
