//! The life of one request.

use std::fmt;

use bytes::Bytes;
use tracing::Span;

use crate::error::{Disconnected, Error, Result};
use crate::response::Messages;
use crate::service::Mount;
use crate::sync::Arc;
use crate::worker::exchange::Demand;
use crate::worker::fence::fence;
use crate::worker::outcome::Outcome;
use crate::worker::{Chunks, Exchange, StartResponse};
use crate::{Application, Environ};

/// One request on its way to a thread. Executors are given jobs and [`run`](Job::run) them.
///
/// Everything that crosses the hop is in here: the environ, which the job owns; the sending end of the response; and a share
/// of the mount, for the application. Nothing of it is touched by the runtime again. A job that is dropped instead of run
/// answers its client with 503.
///
/// The job holds its slot of the pool until `run` returns, whether or not the client is still there.
#[must_use = "a job that is dropped answers 503"]
pub struct Job {
    mount: Arc<Mount>,
    environ: Environ,
    messages: Messages,
    /// The span the request came in.
    span: Span,
}

impl Job {
    pub(crate) fn new(mount: Arc<Mount>, environ: Environ, messages: Messages) -> Self {
        Self { mount, environ, messages, span: Span::current() }
    }

    /// Runs the application and sends its response, from the call to the close.
    ///
    /// Does nothing if the client has gone in the meantime. Never panics, whatever the application does: its panics are
    /// contained, answered and logged.
    ///
    /// # Threads
    ///
    /// Blocks; call it on a thread that may.
    pub fn run(self) {
        let Self { mount, mut environ, messages, span } = self;
        if messages.is_closed() {
            return;
        }
        let _entered = span.entered();
        let exchange = Exchange::new(messages, environ.method() == http::Method::HEAD, mount.settings().write_stall);
        let answered = answer(mount.application(), &mut environ, &exchange);
        let head_was_sent = exchange.head_is_sent();
        let knew_client_gone = exchange.knows_client_gone();
        let finished = match answered {
            Ok(whole) => {
                exchange.finish(whole).map_err(|error| (Outcome::of(&error, &environ, knew_client_gone), error))
            }
            Err(error) => {
                let outcome = Outcome::of(&error, &environ, knew_client_gone);
                exchange.fail(outcome.status());
                Err((outcome, error))
            }
        };
        if let Err((outcome, error)) = finished {
            outcome.report(&error, &environ, head_was_sent);
        }
        // What the application left in its environ may have a destructor of its own.
        if let Err(panicked) = fence(|| drop(environ)) {
            tracing::error!(error = %panicked, "the environ of a finished request panicked when it was dropped");
        }
    }
}

/// Calls the application, sends its chunks and closes them. Gives back the body if it is whole and nothing of it was sent.
fn answer(application: &dyn Application, environ: &mut Environ, exchange: &Exchange) -> Result<Bytes> {
    let call = |status: &str, headers: &[(&str, &str)]| exchange.call(status, headers);
    let start_response = StartResponse::new(exchange, &call);
    let mut chunks = fence(|| application.call(environ, start_response))??;
    let sent = send(&mut chunks, exchange);
    // The one place that closes, on every way here. The chunks were kept out of the closures above, so that they are never
    // dropped by an unwinding stack, where a second panic would abort the process.
    let closed = fence(|| drop(chunks));
    match (sent, closed) {
        (sent, Ok(())) => sent,
        (Ok(_), Err(panicked)) => Err(panicked.into()),
        (Err(error), Err(panicked)) => Err(Error::new(format!("{}; then its close {panicked}", error.describe()))),
    }
}

/// Pulls the chunks and sends them, until they end, the message is complete or the client has gone.
fn send(chunks: &mut Chunks<'_>, exchange: &Exchange) -> Result<Bytes> {
    loop {
        if exchange.is_abandoned() {
            return Err(Disconnected.into());
        }
        let Some(bytes) = pull(chunks)? else { break };
        if bytes.is_empty() {
            continue;
        }
        if !exchange.head_is_sent() && chunks.claims_to_be_done() {
            // Very likely the only chunk. Asking once more makes it certain, and then the response is one message.
            let Some(second) = pull(chunks)? else { return Ok(bytes) };
            if exchange.chunk(bytes)? == Demand::Enough || exchange.chunk(second)? == Demand::Enough {
                break;
            }
        } else if exchange.chunk(bytes)? == Demand::Enough {
            break;
        }
    }
    Ok(Bytes::new())
}

fn pull(chunks: &mut Chunks<'_>) -> Result<Option<Bytes>> {
    fence(|| chunks.pull())?.transpose()
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("environ", &self.environ).finish_non_exhaustive()
    }
}
