//! The extractors of a handler, then the call of its fn, in one allocation.
//!
//! Threads: extractors on the runtime; the fn on the pool.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::response::Response;
use pin_project_lite::pin_project;

use crate::catch_panic::catch_panic;
use crate::handler::request_body::{BodySlot, Reading};
use crate::service::dispatch::Dispatch;
use crate::service::response_future::{Extract, NotDispatched, PendingResponse};
use crate::work::CallHandler;

pin_project! {
    /// `X` runs the extractors, and makes the call `C`.
    pub(super) struct Extraction<X, C> {
        #[pin]
        stage: Stage<X, C>,
        // Until the job is handed over.
        request: Option<Dispatch>,
        body: BodySlot,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<X, C> {
        // The extractors run.
        Extracting { #[pin] extractors: X },
        // The fn is to be called with what they have extracted.
        Extracted { call: Option<C> },
        // The fn was called, or an extractor has rejected the request or panicked.
        Done,
    }
}

impl<X, C> Extraction<X, C> {
    pub(super) fn new(extractors: X, dispatch: Dispatch, body: BodySlot) -> Self {
        Self { stage: Stage::Extracting { extractors }, request: Some(dispatch), body }
    }
}

impl<X, C> Extract for Extraction<X, C>
where
    X: Future<Output = Result<C, Response>> + Send + 'static,
    C: FnOnce() -> Response + Send + 'static,
{
    fn poll_extract(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), NotDispatched>> {
        let mut this = self.project();
        let StageProjection::Extracting { extractors } = this.stage.as_mut().project() else {
            panic!("`Extraction` polled after completion")
        };
        let extracted = match catch_panic(|| extractors.poll(cx)) {
            Ok(polled) => Ok(ready!(polled)),
            Err(panicked) => Err(panicked),
        };
        // The extractors are dropped by themselves: their destructors are foreign code.
        let dropped = catch_panic(|| this.stage.set(Stage::Done));
        let Some(mut dispatch) = this.request.take() else { panic!("`Extraction` has lost its request") };
        let extracted = match dropped {
            Ok(()) => extracted,
            Err(panicked) => extracted.and(Err(panicked)),
        };
        match this.body.reading() {
            Reading::Failed(refusal) => return Poll::Ready(Err(dispatch.refuse(refusal))),
            Reading::Unread => dispatch.leave_body_unread(),
            // No handler reads the rest of this body.
            Reading::Input(watch, _) if !matches!(extracted, Ok(Ok(_))) && !watch.is_complete() => {
                dispatch.leave_body_unread();
            }
            Reading::Input(watch, deadline) => dispatch.watch_input(watch, deadline),
            Reading::Complete => {}
        }
        Poll::Ready(match extracted {
            Ok(Ok(call)) => {
                this.stage.set(Stage::Extracted { call: Some(call) });
                *this.request = Some(dispatch);
                Ok(())
            }
            Ok(Err(rejection)) => Err(dispatch.reject(rejection)),
            Err(panicked) => Err(dispatch.fail(panicked.into())),
        })
    }

    fn hand_over(mut self: Pin<Box<Self>>) -> PendingResponse {
        let Some(dispatch) = self.as_mut().project().request.take() else {
            panic!("`Extraction` handed over before its extractors were done")
        };
        dispatch.hand_over_call(self)
    }
}

impl<X: Send, C: FnOnce() -> Response + Send> CallHandler for Extraction<X, C> {
    fn call(self: Pin<&mut Self>) -> Response {
        let StageProjection::Extracted { call } = self.project().stage.project() else {
            panic!("a handler was called before its extractors were done")
        };
        let Some(call) = call.take() else { panic!("a handler was called twice") };
        call()
    }
}
