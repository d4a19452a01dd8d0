//! A job: one request on a thread of an executor.
//!
//! Threads: pool; blocks.

use std::sync::Arc;
use std::time::Instant;

use crate::Environ;
use crate::catch_panic::catch_panic;
use crate::connection_context::ConnectionContext;
use crate::contained::Contained;
use crate::failure::{self, Failure};
use crate::log;
use crate::observe::outcome::RequestOutcome;
use crate::observe::timing::Timing;
use crate::response::exchange::{Exchange, ResponseOptions};
use crate::response::message::{Messages, ResponseSlot, ResponseWatch, WholeResponse};
use crate::test_request::TestRequest;
use crate::work::{HandlerCall, Work, respond};

/// One request for a thread. An [`Executor`](crate::Executor) receives jobs and [`run`](Job::run)s them.
///
/// The job holds everything that crosses the hop: the environ, which it owns; the sending end of the response; and a
/// reference to the application. The runtime does not touch them again. A job that is dropped without a run answers
/// its client with 503.
///
/// The job holds its slot of the pool until `run` returns, even after the client has disconnected.
#[must_use = "a job that is dropped answers 503"]
pub struct Job {
    /// Contained, as a job that is dropped without a run drops the values of its request wherever it is then.
    state: Contained<Box<JobState>>,
    messages: Messages,
    /// The timing for the access record, if there is one; and when the job was handed over.
    timing: Option<(Arc<Timing>, Instant)>,
}

/// The large part of a job. Boxed, as it is moved several times. The last message returns it to the runtime: memory and
/// reference counts are released most cheaply on the thread that took them.
struct JobState {
    work: Work,
    environ: Environ,
    /// The response, if it needs no thread any more.
    response: Option<WholeResponse>,
    /// The connection of the request, if the server provides it.
    context: Option<ConnectionContext>,
    /// The job runs on a runtime thread, which must not wait for the runtime.
    is_inline: bool,
    /// The contents of the environ were dropped, on the thread that ran the job.
    is_spent: bool,
}

impl Job {
    pub(crate) fn new(
        work: Work,
        environ: Environ,
        mut messages: Messages,
        context: Option<ConnectionContext>,
        is_inline: bool,
    ) -> Self {
        // Until the job begins, a drop is a request that never ran.
        messages.set_failure_if_dropped(RequestOutcome::Shed);
        let state = JobState { work, environ, response: None, context, is_inline, is_spent: false };
        Self { state: Contained::new(Box::new(state)), messages, timing: None }
    }

    /// The state of the response: whether the client still waits for it.
    pub(crate) fn client(&self) -> ResponseWatch {
        self.messages.watch()
    }

    pub(crate) fn environ(&self) -> &Environ {
        &self.state.environ
    }

    pub(crate) fn environ_mut(&mut self) -> &mut Environ {
        &mut self.state.environ
    }

    /// Sets the call of a handler, once its extractors are done.
    pub(crate) fn set_call(&mut self, call: HandlerCall) {
        self.state.work = Work::Handler(Some(call));
    }

    /// Has the job record its wait, which begins now, and its run time.
    pub(crate) fn record(&mut self, timing: Arc<Timing>) {
        self.timing = Some((timing, Instant::now()));
    }

    /// States that the job will not run. Calls `count` unless its client has disconnected, before the client has its
    /// response.
    pub(crate) fn shed(&self, count: impl FnOnce()) {
        self.messages.fail_unless_closed(RequestOutcome::Shed, count);
    }

    /// Whether the client has disconnected, so that `run` would do nothing. Executors with a queue may drop such jobs.
    pub fn is_obsolete(&self) -> bool {
        self.messages.is_closed()
    }

    /// Runs the application and sends its response, from the call to the close.
    ///
    /// Does nothing if the client has disconnected in the meantime. Never panics: panics of the application are caught,
    /// answered and logged.
    ///
    /// # Threads
    ///
    /// Blocks; call it on a thread that may.
    pub fn run(self) {
        let Self { state, mut messages, timing } = self;
        let mut state = state.into_inner();
        let JobState { work, environ, context, is_inline, is_spent, .. } = &mut *state;
        let span = environ.span().clone();
        let _entered = span.enter();
        // The client's timeout closes the response unless the job has begun: only one of the two succeeds.
        if !messages.begin() {
            return;
        }
        // From here on, a response that is not ended has failed.
        messages.set_failure_if_dropped(RequestOutcome::Aborted);
        // The clock is read only if there is a record.
        let timing = timing.map(|(timing, since)| {
            let begun = Instant::now();
            let waited = begun.saturating_duration_since(since);
            timing.set_waited(waited);
            (timing, begun, waited)
        });
        if let Some(context) = &*context {
            environ.set_server(context.clone());
        }
        let options = ResponseOptions {
            head_request: environ.method() == http::Method::HEAD,
            write_stall: environ.settings().write_stall,
            deadline: environ.deadline(),
            offloads: !*is_inline,
            context: context.take(),
            timing: timing.as_ref().map(|(timing, begun, _)| (Arc::clone(timing), *begun)),
        };
        // The application may take the extensions of its request.
        let test = environ.extensions().get::<TestRequest>().cloned();
        let mut exchange = Exchange::new(messages, options);
        let result = work.run(environ, &exchange).or_else(|error| {
            let Some(response) = failure::response_of(&error, environ, &exchange, test.as_ref()) else {
                return Err(error);
            };
            log::panic_of!(drop(error), "an error panicked when it was dropped");
            exchange.discard_unsent();
            respond(response, &exchange)
        });
        let result = result.and_then(|()| exchange.check_complete()).and_then(|()| exchange.prepare_end());
        if let Some((timing, begun, waited)) = &timing {
            // Before the last message: its receiver reads the timing.
            let ran = begun.elapsed();
            timing.set_ran(ran);
            timing.figures().job(*waited, ran);
        }
        if let Some(bytes) = exchange.excess() {
            environ.error_span().in_scope(|| {
                log::warn!(bytes, "the application returned more than its Content-Length; the rest was dropped");
            });
        }
        match result {
            Ok(()) => {
                environ.end_input();
                environ.drop_contents();
                *is_spent = true;
                if let Err(panicked) = catch_panic(|| exchange.complete(state)) {
                    log::error!(error = %panicked, "the body of a finished response panicked when it was dropped");
                }
            }
            Err(error) => {
                let span = environ.error_span();
                let _entered = span.enter();
                let extent = exchange.extent();
                // A disconnect after the whole response is no failure.
                let saw_it_leave = environ.has_observed_disconnect() && !exchange.is_complete();
                let failure = Failure::of(error, environ, exchange.knows_client_gone() || saw_it_leave);
                let (refusal, broken_off) = (failure.refusal(), failure.outcome_after_head());
                // Before the response, which ends in the access record: that is the last event of a request in the log.
                failure.report(extent);
                failure.tell(test.as_ref());
                exchange.fail(refusal, broken_off);
                environ.end_input();
            }
        }
    }
}

impl ResponseSlot for JobState {
    fn response_mut(&mut self) -> &mut Option<WholeResponse> {
        &mut self.response
    }
}

/// Drops the values of the application and of layers one by one: two destructors that panic in one drop would end the
/// process. A state that returns to the runtime has none of them any more.
impl Drop for JobState {
    fn drop(&mut self) {
        self.work.discard();
        if !self.is_spent {
            self.environ.drop_contents();
        }
        if let Some(response) = self.response.take() {
            response.discard();
        }
    }
}

partial_debug!(Job, |this| environ: this.state.environ);

partial_debug!(JobState, |this| environ: this.environ);
