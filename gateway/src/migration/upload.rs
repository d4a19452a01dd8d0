//! The body of a request that both sides are to see.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::prefix::Prefix;
use crate::sync::{Mutex, lock};

/// A request body on its way to the primary, which is copied as it passes.
#[derive(Debug)]
pub(super) struct Upload {
    body: Body,
    declared: Option<u64>,
    copy: Arc<Mutex<Copy>>,
}

/// What has passed so far.
#[derive(Debug)]
enum Copy {
    Part(Prefix),
    Whole(Bytes),
    /// Too large, or broken off.
    Lost,
}

/// The copy, for whoever has waited until the primary has answered.
#[derive(Debug)]
pub(super) struct Copied(Arc<Mutex<Copy>>);

impl Copied {
    /// The body, if all of it has passed.
    pub(super) fn take(self) -> Option<Bytes> {
        match &*lock(&self.0) {
            Copy::Whole(bytes) => Some(bytes.clone()),
            Copy::Part(_) | Copy::Lost => None,
        }
    }
}

/// The length of a body, if it is known.
pub(super) fn declared(body: &impl HttpBody) -> Option<u64> {
    body.size_hint().exact()
}

impl Upload {
    pub(super) fn new(body: Body, limit: usize) -> (Self, Copied) {
        let copy = Arc::new(Mutex::new(Copy::Part(Prefix::new(limit))));
        let upload = Self { declared: declared(&body), body, copy: Arc::clone(&copy) };
        (upload, Copied(copy))
    }

    fn note(&self, frame: Option<&Frame<Bytes>>) {
        let mut copy = lock(&self.copy);
        let Copy::Part(part) = &mut *copy else { return };
        if let Some(data) = frame.and_then(Frame::data_ref)
            && !part.add(data)
        {
            *copy = Copy::Lost;
            return;
        }
        // Nobody asks again for what a declared length has said already.
        if frame.is_none() || self.body.is_end_stream() || part.is_all_of(self.declared) {
            *copy = Copy::Whole(part.take());
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.note(None),
            Some(Ok(frame)) => self.note(Some(frame)),
            Some(Err(_)) => *lock(&self.copy) = Copy::Lost,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
