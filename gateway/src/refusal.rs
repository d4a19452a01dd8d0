//! A response that the gateway gives instead of the application.
//!
//! Threads: any.

use http::StatusCode;

use crate::error::InputError;
use crate::observe::outcome::RequestOutcome;

/// Why the client gets a response of the gateway: the status that it sees, and the outcome on record. The place that
/// refuses the request states both; no status is an outcome, as applications may send any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) outcome: RequestOutcome,
    /// The limit in bytes that the request body exceeds.
    pub(crate) limit: Option<u64>,
}

impl Refusal {
    /// There is no room for the request.
    pub(crate) const SHED: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, RequestOutcome::Shed);
    /// The request was queued for too long.
    pub(crate) const EXPIRED: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, RequestOutcome::Expired);
    /// The deadline has passed.
    pub(crate) const DEADLINE: Self = Self::new(StatusCode::GATEWAY_TIMEOUT, RequestOutcome::Deadline);

    /// The client has disconnected, and does not receive the status.
    pub(crate) const CLIENT_GONE: Self = Self::new(StatusCode::BAD_REQUEST, RequestOutcome::ClientGone);

    const fn new(status: StatusCode, outcome: RequestOutcome) -> Self {
        Self { status, outcome, limit: None }
    }

    /// The messages of a job have ended in this way, without a head.
    pub(crate) fn without_head(end: RequestOutcome) -> Self {
        match end {
            // Stated by the drop of a job that has not begun, and by nothing else: clients and proxies repeat a 503.
            RequestOutcome::Shed => Self::SHED,
            RequestOutcome::Deadline => Self::DEADLINE,
            RequestOutcome::ClientGone => Self::CLIENT_GONE,
            RequestOutcome::Complete
            | RequestOutcome::Error
            | RequestOutcome::Aborted
            | RequestOutcome::ClientError
            | RequestOutcome::Expired
            | RequestOutcome::Refused
            | RequestOutcome::Cancelled => Self::of_failure(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The request body cannot be read.
    pub(crate) fn of_body(error: InputError) -> Self {
        let limit = match error {
            InputError::TooLarge { limit } => Some(limit),
            InputError::Incomplete | InputError::TimedOut => None,
        };
        Self { limit, ..Self::of_request(error.status()) }
    }

    /// The request is at fault.
    pub(crate) fn of_request(status: StatusCode) -> Self {
        Self::new(status, RequestOutcome::ClientError)
    }

    /// The request was accepted, and failed.
    pub(crate) fn of_failure(status: StatusCode) -> Self {
        Self::new(status, RequestOutcome::Error)
    }
}
