//! The work of a job: an application, or the call of a handler.
//!
//! Threads: pool; blocks.

use std::sync::Arc;

use axum::response::Response;
use hyper::ext::ReasonPhrase;

use crate::catch_panic::catch_panic;
use crate::error::{Error, Result};
use crate::response::exchange::Exchange;
use crate::response::head::ResponseHead;
use crate::response::send_and_close::send_and_close;
use crate::response::start_response::StartResponse;
use crate::response::streamed::Streamed;
use crate::response::write::Write;
use crate::{Application, Environ};

/// The call of a handler, with the values that its extractors made.
pub(crate) type HandlerCall = Box<dyn FnOnce() -> Response + Send>;

/// What a job runs.
pub(crate) enum Work {
    Application(Arc<dyn Application>),
    /// `None` while the extractors run, and after the call.
    Handler(Option<HandlerCall>),
}

impl Work {
    /// Calls the application or the handler, and sends its response, from the head to the close of its chunks.
    /// `note_run` is called before a message that is sent ahead of the close: its receiver may write the access record
    /// at once, and reads the run time there.
    pub(crate) fn run(&mut self, environ: &mut Environ, exchange: &Exchange, note_run: impl Fn()) -> Result<()> {
        match self {
            Self::Application(application) => {
                let call = |status: &str, headers: &[(&str, &str)]| exchange.call(status, headers);
                let start_response = StartResponse::new(exchange, &call);
                let chunks = catch_panic(|| application.call(environ, start_response))??;
                send_and_close(chunks, exchange, note_run)
            }
            Self::Handler(call) => {
                let Some(call) = call.take() else { panic!("a job was run before its extractors were done") };
                respond(catch_panic(call)?, exchange, note_run)
            }
        }
    }
}

/// Sends the response of a handler, or of an error. A body of axum needs no thread; the runtime sends it.
pub(crate) fn respond(response: Response, exchange: &Exchange, note_run: impl Fn()) -> Result<()> {
    let (mut parts, body) = Error::of_response(response)?.into_parts();
    let streamed = Streamed::of_response(&mut parts.extensions);
    let reason = parts.extensions.remove::<ReasonPhrase>();
    let head = ResponseHead::new(parts.status, parts.headers).with_reason(reason).with_extensions(parts.extensions);
    exchange.start(Ok(head.contained()))?;
    match streamed {
        None => exchange.pass(body),
        Some(streamed) => {
            let chunks = catch_panic(|| streamed.run(Write::new(exchange)))??;
            send_and_close(chunks, exchange, note_run)
        }
    }
}
