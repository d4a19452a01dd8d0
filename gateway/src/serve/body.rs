//! The bodies of a request and its response, seen by their connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::serve::activity::{Activity, Flight};

/// A request body, which says whether it was read to its end.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    has_ended: bool,
    /// It broke off.
    has_failed: bool,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>) -> Self {
        activity.has_reader();
        Self { incoming, has_ended: false, has_failed: false, activity }
    }

    /// Nobody reads on. A client that ended its side within its body is known to have, and still gets its answer.
    fn is_done(&self) {
        if !self.has_failed {
            self.activity.has_no_reader();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.has_failed |= matches!(frame, Some(Err(_)));
        if !self.has_ended && (frame.is_none() || self.incoming.is_end_stream()) {
            self.has_ended = true;
            self.is_done();
            self.activity.settled();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.is_done();
        if !self.has_ended && !self.incoming.is_end_stream() {
            self.activity.unsettled();
        }
    }
}

pin_project! {
    /// A response body, which keeps its request in flight.
    #[derive(Debug)]
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: B,
        flight: Flight,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: B, flight: Flight) -> Self {
        Self { body, flight }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
