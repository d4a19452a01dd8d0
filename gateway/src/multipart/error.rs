//! Why a form cannot be read.
//!
//! Threads: any.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::InputRejection;
use crate::error::client_error::ClientError;
use crate::error::{BoxError, Error};

/// Why a [`Multipart`](crate::Multipart) form cannot be read, or not to its end.
///
/// An application or a handler may return it: the client gets the status, and no failure is logged.
#[derive(Debug)]
#[non_exhaustive]
pub enum MultipartError {
    /// The `Content-Type` of the request is not `multipart/form-data`: 415.
    NotMultipart,
    /// The `Content-Type` has no valid boundary: 400.
    NoBoundary,
    /// The body is not a form, or ends before the form does: 400.
    Malformed(String),
    /// The form, or one of its fields, is larger than the application allows: 413.
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The request body cannot be read; an [`InputError`](crate::InputError) among the sources decides the answer.
    Input(BoxError),
    /// There is no input for the extractor.
    Rejected(InputRejection),
}

const BAD_REQUEST: ClientError = ClientError(StatusCode::BAD_REQUEST);
const TOO_LARGE: ClientError = ClientError(StatusCode::PAYLOAD_TOO_LARGE);
const NOT_MULTIPART: ClientError = ClientError(StatusCode::UNSUPPORTED_MEDIA_TYPE);

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMultipart => f.write_str("the Content-Type of the request is not multipart/form-data"),
            Self::NoBoundary => f.write_str("the Content-Type of the request has no valid boundary"),
            Self::Malformed(why) => write!(f, "the request body is not a complete form: {why}"),
            Self::TooLarge { limit } => write!(f, "the form or one of its fields is larger than {limit} bytes"),
            Self::Input(_) => f.write_str("the form cannot be read"),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl StdError for MultipartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotMultipart => Some(&NOT_MULTIPART),
            Self::NoBoundary | Self::Malformed(_) => Some(&BAD_REQUEST),
            Self::TooLarge { .. } => Some(&TOO_LARGE),
            Self::Input(error) => Some(&**error),
            Self::Rejected(rejection) => Some(rejection),
        }
    }
}

/// With the kind of the [`InputError`](crate::InputError) inside, if there is one.
impl From<MultipartError> for io::Error {
    fn from(error: MultipartError) -> Self {
        Error::from(error).into_io()
    }
}

impl IntoResponse for MultipartError {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(rejection) => rejection.into_response(),
            error => Error::from(error).into_response(),
        }
    }
}
