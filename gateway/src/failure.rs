//! Whose failure it was, and what is said about it.
//!
//! Threads: pool; blocks.

use http::StatusCode;

use crate::Environ;
use crate::body::source::BodyFailure;
use crate::catch_panic::catch_panic;
use crate::error::{DeadlineExceeded, Disconnected, Error, InputError, Panicked};
use crate::log;
use crate::observe::warning;
use crate::response::progress::Extent;

/// Why a response is not what the application meant it to be.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    /// The error and its causes.
    description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// The client has left; the application's error is a consequence.
    ClientGone,
    /// The client sent a body that cannot be read, and the application did not cope with it.
    BadBody(InputError),
    /// The deadline has passed; the application's error is a consequence.
    Late,
    /// The application failed by itself.
    Application,
}

impl Failure {
    /// Judges an error, and drops it. Its methods and its destructor are the application's code, so all of it happens
    /// behind a fence.
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

    /// The status of the answer, if nothing has been sent yet.
    pub(crate) fn status(&self) -> StatusCode {
        match self.kind {
            FailureKind::BadBody(error) => error.status(),
            FailureKind::Late => StatusCode::GATEWAY_TIMEOUT,
            FailureKind::ClientGone | FailureKind::Application => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether it failed because of its deadline.
    pub(crate) fn is_late(&self) -> bool {
        self.kind == FailureKind::Late
    }

    /// The error and its causes.
    pub(crate) fn into_description(self) -> String {
        self.description
    }

    /// One event for each request that failed. What the client brought about is not logged as an error.
    ///
    /// Which request it was is said by the span that all of this happens in.
    pub(crate) fn report(&self, extent: Extent) {
        let status = self.status().as_u16();
        let error = &self.description;
        match self.kind {
            FailureKind::ClientGone => log::debug!(error, "the client left before it had its response"),
            FailureKind::Late => log::warn!(error, "the application did not meet its deadline"),
            FailureKind::BadBody(_) => log::info!(status, error, "the request body cannot be read"),
            FailureKind::Application => match extent {
                Extent::Nothing => log::error!(status, error, "the application failed"),
                Extent::Part => log::error!(error, "the application failed; its response was broken off"),
                Extent::Whole => log::error!(error, "the application failed after its response was complete"),
            },
        }
    }
}

impl Failure {
    /// Says on stderr that the log of this program goes nowhere, if what failed was not the client.
    pub(crate) fn warn_if_unheard(&self) {
        match self.kind {
            FailureKind::ClientGone | FailureKind::BadBody(_) => {}
            FailureKind::Late | FailureKind::Application => warning::unheard(&self.description),
        }
    }
}

impl FailureKind {
    /// Judges by the error, wherever in it the cause is, and then by what the application had been told before: many
    /// libraries hide the error of the reader or writer they were given. A panic is the application's own, whatever
    /// came before.
    fn of(error: &Error, environ: &Environ, knew_client_gone: bool) -> Self {
        if error.find::<Panicked>().is_some() {
            return Self::Application;
        }
        if error.find::<DeadlineExceeded>().is_some() {
            return Self::Late;
        }
        match Self::of_cause(error, environ, knew_client_gone) {
            // At the deadline the client is let go, which looks the same from there.
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
