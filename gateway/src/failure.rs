//! The cause of a failed request, and its log event.
//!
//! Threads: any.

use axum::response::Response;
use http::StatusCode;

use crate::Environ;
use crate::body::source::BodyFailure;
use crate::catch_panic::catch_panic;
use crate::error::{DeadlineExceeded, Disconnected, Error, InputError, Panicked};
use crate::log;
use crate::observe::outcome::RequestOutcome;
use crate::observe::warning;
use crate::refusal::Refusal;
use crate::response::exchange::Exchange;
use crate::response::progress::Extent;
use crate::test_request::TestRequest;

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    /// The error and its causes.
    description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// The client has disconnected; the application's error is a consequence.
    ClientGone,
    /// The client sent a body that cannot be read; the application's error is a consequence.
    BadBody(InputError),
    /// The deadline has passed; the application's error is a consequence.
    Late,
    /// The application failed.
    Application,
}

impl Failure {
    /// Classifies an error, and drops it. Its methods and its destructor are foreign code: panics are caught.
    pub(crate) fn of(error: Error, environ: &Environ, knew_client_gone: bool) -> Self {
        let judged = catch_panic(|| Self {
            kind: FailureKind::of(&error, environ, knew_client_gone),
            description: error.describe(),
        });
        let dropped = catch_panic(|| drop(error));
        match (judged, dropped) {
            (Ok(failure), Ok(())) => failure,
            (Err(panicked), _) | (Ok(_), Err(panicked)) => {
                Self { kind: FailureKind::Application, description: format!("its error {panicked}") }
            }
        }
    }

    /// The response, if nothing has been sent yet.
    pub(crate) fn refusal(&self) -> Refusal {
        match self.kind {
            FailureKind::BadBody(error) => BodyFailure::Broken(error).refusal(),
            FailureKind::ClientGone => Refusal::CLIENT_GONE,
            FailureKind::Late => Refusal::DEADLINE,
            FailureKind::Application => Refusal::of_failure(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The outcome of a message that the failure breaks off.
    pub(crate) fn outcome_after_head(&self) -> RequestOutcome {
        match self.kind {
            FailureKind::Application => RequestOutcome::Aborted,
            FailureKind::BadBody(_) | FailureKind::ClientGone | FailureKind::Late => self.refusal().outcome,
        }
    }

    /// Logs one event for each failed request. Failures caused by the client are not logged as errors.
    ///
    /// The span of the caller identifies the request.
    pub(crate) fn report(&self, extent: Extent) {
        let status = self.refusal().status.as_u16();
        let error = &self.description;
        match self.kind {
            FailureKind::ClientGone => log::debug!(error, "the client disconnected before it had its response"),
            FailureKind::Late => log::warn!(error, "the application did not meet its deadline"),
            FailureKind::BadBody(_) => log::info!(status, error, "the request body cannot be read"),
            FailureKind::Application => match extent {
                Extent::Nothing => log::error!(status, error, "the application failed"),
                Extent::Part => log::error!(error, "the application failed; its response was broken off"),
                Extent::Whole => log::error!(error, "the application failed after its response was complete"),
            },
        }
    }

    /// Passes the failure to the test of the request, if it comes from the test client. Otherwise warns on stderr that
    /// the program has no log subscriber, unless the client caused the failure.
    pub(crate) fn tell(self, test: Option<&TestRequest>) {
        match (test, self.kind) {
            (Some(test), _) => test.set_failure(self.description),
            (None, FailureKind::ClientGone | FailureKind::BadBody(_)) => {}
            (None, FailureKind::Late | FailureKind::Application) => warning::no_subscriber(&self.description),
        }
    }
}

/// The response that an error carries, if it can still be sent. Only a status of 500 and above is logged as a failure.
pub(crate) fn response_of(
    error: &Error,
    environ: &Environ,
    exchange: &Exchange,
    test: Option<&TestRequest>,
) -> Option<Response> {
    if exchange.head_is_sent() {
        return None;
    }
    // The sources and the text of an error are foreign code. After a panic `Failure::of` describes it.
    let taken = catch_panic(|| error.take_response().map(|response| (response, error.describe())));
    let (response, description) = taken.ok().flatten()?;
    if response.status().is_server_error() {
        let status = response.status().as_u16();
        environ.error_span().in_scope(|| log::error!(status, error = description, "the application failed"));
        match test {
            Some(test) => test.set_failure(description),
            None => warning::no_subscriber(&description),
        }
    }
    Some(response)
}

impl FailureKind {
    /// Classifies by the error and its causes, then by the failures that the application has observed: many libraries
    /// hide the error of their reader or writer. A panic is always a failure of the application.
    fn of(error: &Error, environ: &Environ, knew_client_gone: bool) -> Self {
        if error.find::<Panicked>().is_some() {
            return Self::Application;
        }
        if error.find::<DeadlineExceeded>().is_some() {
            return Self::Late;
        }
        match Self::of_cause(error, environ, knew_client_gone) {
            // At the deadline the response is closed, which the application observes as a disconnect.
            Self::ClientGone if environ.is_late() => Self::Late,
            kind => kind,
        }
    }

    fn of_cause(error: &Error, environ: &Environ, knew_client_gone: bool) -> Self {
        if error.find::<Disconnected>().is_some() {
            return Self::ClientGone;
        }
        match (error.find::<InputError>(), environ.observed_failure()) {
            (Some(&broken), _) | (None, Some(BodyFailure::Broken(broken))) => Self::BadBody(broken),
            (None, Some(BodyFailure::Disconnected)) => Self::ClientGone,
            (None, None) if knew_client_gone => Self::ClientGone,
            (None, None) => Self::Application,
        }
    }
}
