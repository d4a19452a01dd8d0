//! Request and response bodies that report their progress to the connection.
//!
//! Threads: any.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::BoxError;
use crate::serve::http2_streams::WriteTimeout;
use crate::serve::lifecycle::{InFlight, Lifecycle, RequestBodyState};

/// A request body that reports whether it was read to its end.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// `Some` until the body is dropped.
    incoming: Option<Incoming>,
    state: RequestBodyState,
    lifecycle: Arc<Lifecycle>,
    exchange: u64,
}

impl RequestBody {
    /// The body of the exchange that has just begun.
    pub(super) fn new(incoming: Incoming, lifecycle: &Arc<Lifecycle>) -> Self {
        let exchange = lifecycle.with(|machine| machine.exchange);
        Self { incoming: Some(incoming), state: RequestBodyState::Reading, lifecycle: Arc::clone(lifecycle), exchange }
    }

    fn set_state(&mut self, state: RequestBodyState) {
        if self.state == RequestBodyState::Reading {
            self.state = state;
            self.lifecycle.with(|machine| machine.set_body(self.exchange, state));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.set_state(RequestBodyState::Broken),
            // hyper ends a chunked body as if it were complete when its connection is dropped.
            None if self.state == RequestBodyState::Reading
                && self.lifecycle.with(|machine| machine.broke_off(self.exchange)) =>
            {
                self.state = RequestBodyState::Broken;
                return Poll::Ready(Some(Err("the connection has ended within the request body".into())));
            }
            None => self.set_state(RequestBodyState::Read),
            Some(Ok(frame)) if frame.is_trailers() && self.state == RequestBodyState::Reading => {
                if !self.lifecycle.read_trailers(self.exchange) {
                    self.state = RequestBodyState::ReadTooFar;
                    return Poll::Ready(Some(Err("a line of the trailer fields does not end with CRLF".into())));
                }
            }
            Some(Ok(_)) if self.is_end_stream() => self.set_state(RequestBodyState::Read),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|_| self.state == RequestBodyState::Reading) else { return };
        if incoming.is_end_stream() {
            self.set_state(RequestBodyState::Read);
        } else {
            self.lifecycle.body_abandoned(self.exchange, incoming);
        }
    }
}

/// The largest frame that is handed to hyper on HTTP/2. hyper holds one frame that the peer has not taken and polls for
/// one more, so the frame size is the resolution of the write timeout.
const LARGEST_FRAME: usize = 16 * 1024;

pin_project! {
    /// A response body. The request is in flight until it is dropped.
    #[derive(Debug)]
    pub(super) struct ResponseBody<B> {
        // `None` for a response without a body.
        #[pin]
        body: Option<B>,
        // The rest of a frame that is split.
        rest: Bytes,
        write_timeout: Option<Arc<WriteTimeout>>,
        in_flight: InFlight,
    }
}

impl<B> ResponseBody<B> {
    /// A response body; on HTTP/2 with the write timeout of its stream.
    pub(super) fn new(body: Option<B>, in_flight: InFlight, write_timeout: Option<Arc<WriteTimeout>>) -> Self {
        Self { body, rest: Bytes::new(), write_timeout, in_flight }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let Some(write_timeout) = this.write_timeout else {
            return body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(into_bytes))));
        };
        let frame = if this.rest.is_empty() {
            // The peer has taken the previous frame; the stream now waits for the handler.
            write_timeout.wait_for_handler();
            ready!(body.poll_frame(cx)).map(|frame| frame.map(|frame| frame.map_data(into_bytes)))
        } else {
            Some(Ok(Frame::data(std::mem::take(this.rest))))
        };
        write_timeout.wait_for_peer();
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|mut data| {
                    if data.len() > LARGEST_FRAME {
                        *this.rest = data.split_off(LARGEST_FRAME);
                    }
                    data
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), B::size_hint)
    }
}

/// Does not copy if the data is already `Bytes`.
fn into_bytes(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}
