//! The work of a job: an application, or the call of a handler.
//!
//! Threads: pool; blocks.

use std::pin::Pin;
use std::sync::Arc;

use axum::response::Response;

use crate::catch_panic::catch_panic;
use crate::error::{Error, Result};
use crate::log;
use crate::response::exchange::Exchange;
use crate::response::passed::ResponseParts;
use crate::response::send_and_close::send_and_close;
use crate::response::start_response::StartResponse;
use crate::response::write::Write;
use crate::{Application, Environ};

/// The call of a handler, with the values that its extractors have made. Pinned, as the extractors ran in the same
/// memory, which is allocated once.
pub(crate) type HandlerCall = Pin<Box<dyn CallHandler>>;

/// See [`HandlerCall`].
pub(crate) trait CallHandler: Send {
    /// Calls the handler; at most once. Leaves the memory, which its job returns to the runtime that has allocated it.
    fn call(self: Pin<&mut Self>) -> Response;
}

/// What a job runs.
pub(crate) enum Work {
    Application(Arc<dyn Application>),
    /// `None` while the extractors run.
    Handler(Option<HandlerCall>),
}

impl Work {
    /// Calls the application or the handler, and sends its response, from the head to the close of its chunks.
    pub(crate) fn run(&mut self, environ: &mut Environ, exchange: &Exchange) -> Result<()> {
        match self {
            Self::Application(application) => {
                let call = |status: &str, headers: &[(&str, &str)]| exchange.call(status, headers);
                let start_response = StartResponse::new(exchange, &call);
                let chunks = catch_panic(|| application.call(environ, start_response))??;
                send_and_close(chunks, exchange)
            }
            Self::Handler(call) => {
                let Some(call) = call else { panic!("a job was run before its extractors were done") };
                respond(catch_panic(|| call.as_mut().call())?, exchange)
            }
        }
    }
}

impl Work {
    /// Drops the call of a handler that was not called, and this reference to the application. A panic is caught.
    pub(crate) fn discard(&mut self) {
        let work = std::mem::replace(self, Self::Handler(None));
        log::panic_of!(drop(work), "the work of a job panicked when it was dropped");
    }
}

/// Sends the response of a handler, or of an error. A body of axum needs no thread; the runtime sends it.
pub(crate) fn respond(response: Response, exchange: &Exchange) -> Result<()> {
    let response = catch_panic(|| Error::of_response(response))??;
    let ResponseParts { head, body, streamed } = ResponseParts::of(response);
    exchange.start(Ok(head))?;
    match streamed {
        None => exchange.pass(body),
        Some(streamed) => {
            drop(body);
            let chunks = catch_panic(|| streamed.run(Write::new(exchange)))??;
            send_and_close(chunks, exchange)
        }
    }
}
