//! Why a file cannot be sent.
//!
//! Threads: any.

use std::fmt;
use std::io;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::error::Error;
use crate::error::client_error::ClientError;

/// Why there is no [`FileResponse`](crate::FileResponse).
///
/// An application or a handler may return it: `NotFound` is a 404 and no failure, anything else a 500.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// There is no regular file at this path.
    NotFound,
    /// The system refuses to open the file, for example for lack of permission.
    Io(io::Error),
}

const NOT_FOUND: ClientError = ClientError(StatusCode::NOT_FOUND);

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
        match error.kind() {
            // A name that no file can have: too long, or with a NUL.
            NotFound | NotADirectory | IsADirectory | InvalidFilename | InvalidInput => Self::NotFound,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such file"),
            Self::Io(error) => write!(f, "the file cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotFound => Some(&NOT_FOUND),
            Self::Io(error) => Some(error),
        }
    }
}

/// With the kind [`NotFound`](io::ErrorKind::NotFound), or that of the error inside.
impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match &error {
            FileError::NotFound => io::ErrorKind::NotFound,
            FileError::Io(inside) => inside.kind(),
        };
        Self::new(kind, error)
    }
}

impl IntoResponse for FileError {
    fn into_response(self) -> Response {
        Error::from(self).into_response()
    }
}
