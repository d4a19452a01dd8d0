//! Whose failure it was, and what is said about it.

use http::StatusCode;

use crate::Environ;
use crate::error::{Disconnected, Error, InputError, Panicked};
use crate::request::Failure;

/// Why a response is not what the application meant it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client has left; the application's error is a consequence.
    ClientGone,
    /// The client sent a body that cannot be read, and the application did not cope with it.
    BadBody(InputError),
    /// The application failed by itself.
    Failed,
}

impl Outcome {
    /// Judges by the error, wherever in it the cause is, and then by what the application had been told before: many
    /// libraries hide the error of the reader or writer they were given. A panic is the application's own, whatever came
    /// before.
    pub(crate) fn of(error: &Error, environ: &Environ, knew_client_gone: bool) -> Self {
        if error.find::<Panicked>().is_some() {
            return Self::Failed;
        }
        if error.find::<Disconnected>().is_some() {
            return Self::ClientGone;
        }
        match (error.find::<InputError>(), environ.input_failure()) {
            (Some(&broken), _) | (None, Some(Failure::Broken(broken))) => Self::BadBody(broken),
            (None, Some(Failure::Disconnected)) => Self::ClientGone,
            (None, None) if knew_client_gone => Self::ClientGone,
            (None, None) => Self::Failed,
        }
    }

    /// The status of the answer, if nothing has been sent yet.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadBody(InputError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadBody(InputError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Self::BadBody(InputError::Incomplete) => StatusCode::BAD_REQUEST,
            Self::ClientGone | Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// One event for each request that failed. What the client brought about is not logged as an error.
    pub(crate) fn report(self, error: &Error, environ: &Environ, head_was_sent: bool) {
        let method = environ.method();
        let path = environ.original_path();
        let status = self.status().as_u16();
        let error = error.describe();
        match self {
            Self::ClientGone => tracing::debug!(%method, path, error, "the client left before it had its response"),
            Self::BadBody(_) => tracing::info!(%method, path, status, error, "the request body cannot be read"),
            Self::Failed if head_was_sent => {
                tracing::error!(%method, path, error, "the application failed; its response was broken off");
            }
            Self::Failed => tracing::error!(%method, path, status, error, "the application failed"),
        }
    }
}
