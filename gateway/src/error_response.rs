//! An error that carries its response.
//!
//! Threads: any.

use std::error::Error as StdError;
use std::fmt;

use axum::response::Response;
use http::StatusCode;

use crate::sync::{Mutex, lock};

/// The error behind [`Error::response`](crate::Error::response).
pub(crate) struct ErrorResponse {
    status: StatusCode,
    message: Option<String>,
    /// `None` once it was taken. The lock makes the body `Sync`, as an error has to be.
    response: Mutex<Option<Response>>,
}

impl ErrorResponse {
    pub(crate) fn new(response: Response) -> Self {
        Self { status: response.status(), message: None, response: Mutex::new(Some(response)) }
    }

    /// An error with a text for the log.
    pub(crate) fn with_message(message: String, response: Response) -> Self {
        Self { message: Some(message), ..Self::new(response) }
    }

    pub(crate) fn take(&self) -> Option<Response> {
        lock(&self.response).take()
    }

    pub(crate) fn put(&self, response: Response) {
        *lock(&self.response) = Some(response);
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message),
            None => write!(f, "the application responded with an error: {}", self.status),
        }
    }
}

partial_debug!(ErrorResponse, |this| status: this.status);

impl StdError for ErrorResponse {}
