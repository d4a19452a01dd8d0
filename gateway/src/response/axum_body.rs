//! A body of axum, whose code is the application's.
//!
//! Threads: made on the pool or the runtime; polled on the runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};

use crate::catch_panic::catch_panic;
use crate::contained::{self, Contained};
use crate::error::{Error, Panicked};
use crate::response::field;

/// A body of axum. Panics of its methods are errors, and the panic of its destructor is caught.
pub(crate) struct AxumBody(Contained<Body>);

impl AxumBody {
    pub(crate) fn new(body: Body) -> Self {
        Self(Contained::new(body))
    }

    /// The number of bytes that are left, if the body knows it.
    pub(crate) fn length(&self) -> Result<Option<u64>, Panicked> {
        catch_panic(|| self.0.size_hint().exact().or_else(|| self.0.is_end_stream().then_some(0)))
    }

    /// Whether the body says that no frame follows. `false` if it panics: the next poll decides.
    pub(crate) fn has_ended(&self) -> bool {
        catch_panic(|| self.0.is_end_stream()).unwrap_or(false)
    }

    /// The next frame, with owners that cannot panic when they are dropped. After an error, which is a text for the
    /// log, the body must not be polled again.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        let polled = catch_panic(|| {
            let Some(frame) = std::task::ready!(Pin::new(&mut *self.0).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            Poll::Ready(Some(match frame {
                Ok(frame) => Ok(contain(frame)),
                Err(error) => Err(Error::new(error).describe()),
            }))
        });
        polled.unwrap_or_else(|panicked| Poll::Ready(Some(Err(panicked.to_string()))))
    }
}

fn contain(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_data() {
        Ok(bytes) => Frame::data(contained::bytes(bytes)),
        Err(frame) => match frame.into_trailers() {
            Ok(fields) => Frame::trailers(field::contained(fields)),
            Err(frame) => frame,
        },
    }
}

partial_debug!(AxumBody);
