//! The input as a body for extractors, which blocks.
//!
//! Threads: the application's; blocks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::body::input::Input;
use crate::error::Error;
use crate::sync::{Mutex, lock};

/// A body that reads the input of an application: each poll blocks until it has a frame. When it is dropped, the input
/// and the failure of a read go back to the [`Loan`].
pub(crate) struct LentBody {
    input: Input,
    failure: Option<Error>,
    loan: Loan,
}

/// Where the input is when the body has been dropped.
#[derive(Clone, Default)]
pub(crate) struct Loan(Arc<Mutex<Option<Returned>>>);

/// The input, and why it could not be read.
type Returned = (Input, Option<Error>);

impl Loan {
    pub(crate) fn body(&self, input: Input) -> LentBody {
        LentBody { input, failure: None, loan: self.clone() }
    }

    /// The input that the body has returned. `None` while there is a body.
    pub(crate) fn end(&self) -> Option<Returned> {
        lock(&self.0).take()
    }
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(read) = self.input.chunks(usize::MAX).next() else { return Poll::Ready(None) };
        Poll::Ready(match read {
            Ok(bytes) => Some(Ok(Frame::data(bytes))),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error.into());
                Some(Err(kind.into()))
            }
        })
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        let input = std::mem::replace(&mut self.input, Input::empty());
        *lock(&self.loan.0) = Some((input, self.failure.take()));
    }
}
