//! Errors, and how the application and the client see them.
//!
//! Threads: any.

mod call;
pub(crate) mod client_error;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

pub use self::call::CallError;
use crate::error_response::ErrorResponse;
use crate::sync::{Mutex, lock};

/// A boxed error of any type. [`Error`] holds one, and most error types convert into one.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The result type of applications.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an application failed.
///
/// Any [`std::error::Error`] converts into it, so an application may use `?`. Other error types, such as
/// `anyhow::Error` and boxed errors, convert with `.map_err(Error::new)`. `Error` is not itself an
/// [`std::error::Error`], because the conversion would overlap. The calls of an application return [`CallError`], which
/// is one, so that `?` works in a function with another error type, too; `Error` converts into it, and with `?` into an
/// [`io::Error`] or a [`BoxError`].
///
/// If nothing was sent, the error that the application returns decides the answer:
///
/// | the error, or one of its sources | answer |
/// |---|---|
/// | [`InputError::TooLarge`] | 413 |
/// | [`InputError::TimedOut`] | 408 |
/// | [`InputError::Incomplete`] | 400 |
/// | [`Disconnected`] | none: the client has disconnected, and no failure is logged |
/// | [`DeadlineExceeded`] | 504 |
/// | made by [`Error::response`] | that response |
/// | another error of this crate that the client caused, such as `FileError::NotFound` | its status |
/// | any other | 500 |
///
/// After the first byte any error aborts the message. Libraries may hide the error of their reader or writer: an
/// application that fails after it observed one of these errors counts as failed because of it.
///
/// # Example
///
/// ```
/// fn parse(text: &str) -> gateway::Result<u32> {
///     if text.is_empty() {
///         return Err(gateway::Error::new("the number is missing"));
///     }
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(parse("").unwrap_err().to_string(), "the number is missing");
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Error(BoxError);

impl Error {
    /// Makes an error out of any type that converts into a boxed error, such as text.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self::of_boxed(error.into())
    }

    /// Takes the error of a call out of its [`CallError`].
    fn of_boxed(error: BoxError) -> Self {
        error.downcast::<CallError>().map_or_else(Self, |error| error.into_error())
    }

    /// Makes an error that carries its response: any type that implements [`IntoResponse`], such as a rejection of an
    /// extractor.
    ///
    /// If an application returns it, also inside another error, and nothing was sent before, the client gets that
    /// response as it is. A status below 500 is no failure, and no event is logged. After the first byte the message is
    /// broken off, as by every error.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use gateway::{Environ, Error, StartResponse, wsgi_app};
    ///
    /// fn find(name: &str) -> gateway::Result<&'static str> {
    ///     match name {
    ///         "/ada" => Ok("Ada Lovelace\n"),
    ///         _ => Err(Error::response((StatusCode::NOT_FOUND, "there is no such person\n"))),
    ///     }
    /// }
    ///
    /// #[wsgi_app]
    /// fn person(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    ///     let name = find(environ.path_info())?;
    ///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
    ///     Ok([name])
    /// }
    /// # let response = gateway::testing::Client::new(person).get("/bob");
    /// # assert_eq!((response.status().as_u16(), response.text().as_str()), (404, "there is no such person\n"));
    /// ```
    pub fn response(response: impl IntoResponse) -> Self {
        match Self::of_response(response.into_response()) {
            Ok(response) => ErrorResponse::new(response).into(),
            // The response was made by an error, which knows its answer.
            Err(error) => error,
        }
    }

    /// The response that the error carries, once, or that for its [`ClientError`](client_error::ClientError).
    pub(crate) fn take_response(&self) -> Option<Response> {
        self.find::<ErrorResponse>().and_then(ErrorResponse::take).or_else(|| client_error::response_of(self.chain()))
    }

    /// The error inside, boxed.
    pub fn into_boxed(self) -> BoxError {
        self.0
    }

    /// The first `T` among this error and its sources.
    ///
    /// Looks into [`std::io::Error`], which does not name its inner error as a source.
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        self.chain().find_map(|error| error.downcast_ref())
    }

    /// Whether this error, or one of its sources, is [`Disconnected`].
    pub fn is_disconnected(&self) -> bool {
        self.find::<Disconnected>().is_some()
    }

    /// The error inside.
    pub(crate) fn as_std(&self) -> &(dyn StdError + 'static) {
        &*self.0
    }

    /// This error and its causes, outermost first.
    fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(Some(self.as_std()), |error| cause(*error)).take(MAX_SOURCES)
    }

    /// The message with its causes, for the log: `outer: inner: innermost`.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for error in self.chain() {
            let message = error.to_string();
            // Skips a wrapper that repeats its source.
            if text.ends_with(&message) {
                continue;
            }
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        text
    }

    /// The error that a handler returned, if it made this response. An error that carries a response gets it back.
    pub(crate) fn of_response(mut response: Response) -> Result<Response, Self> {
        let Some(failed) = response.extensions_mut().remove::<Failed>() else { return Ok(response) };
        let Some(error) = lock(&failed.0).take() else { return Ok(response) };
        if let Some(carrier) = error.find::<ErrorResponse>() {
            carrier.put(response);
        }
        Err(error)
    }

    /// The same error for `std::io`, with the kind for a disconnect, a passed deadline, an unreadable request body or a
    /// broken contract, or the kind of an `io::Error` inside.
    ///
    /// An [`io::Error`] does not name the error that it was made from as its source, but the source of that error: the
    /// [`CallError`] in between makes that this one.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = if self.is_disconnected() {
            io::ErrorKind::BrokenPipe
        } else if self.find::<DeadlineExceeded>().is_some() {
            io::ErrorKind::TimedOut
        } else if let Some(error) = self.find::<InputError>() {
            match error {
                InputError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
                InputError::Incomplete => io::ErrorKind::UnexpectedEof,
                InputError::TimedOut => io::ErrorKind::TimedOut,
            }
        } else if self.find::<ContractError>().is_some() {
            io::ErrorKind::InvalidInput
        } else {
            self.find::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind)
        };
        io::Error::new(kind, CallError::from(self))
    }
}

/// The error of a blocking handler: a failure of the request, as the error of an application is. Elsewhere the response
/// has the status of the table above.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = match (self.take_response(), self.find::<InputError>()) {
            (Some(response), _) => response,
            (None, Some(error)) => error.status().into_response(),
            (None, None) if self.find::<DeadlineExceeded>().is_some() => StatusCode::GATEWAY_TIMEOUT.into_response(),
            (None, None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        response.extensions_mut().insert(Failed(Arc::new(Mutex::new(Some(self)))));
        response
    }
}

/// Carries the error in the extensions of its response, which have to be `Clone`.
#[derive(Clone)]
struct Failed(Arc<Mutex<Option<Error>>>);

/// The length of a chain of sources that is looked at. Sources of the application may form a circle.
const MAX_SOURCES: usize = 100;

/// The cause of an error. An [`io::Error`] made from another error does not name it as its source.
fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::of_boxed(Box::new(error))
    }
}

/// For functions that return [`io::Result`]. The kind says what failed: [`BrokenPipe`](io::ErrorKind::BrokenPipe) for a
/// disconnect, for instance.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        error.into_io()
    }
}

impl From<Error> for BoxError {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The client has disconnected: written bytes do not arrive, and no more bytes can be read.
///
/// Reads and writes return it in a [`CallError`] or, through the [`std::io`] traits, in an [`io::Error`] of kind
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe). An application that returns it has not failed; no error is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnected;

error_text!(Disconnected, "the client has disconnected");

/// The mount's [deadline](crate::Gateway::deadline) has passed: the client has got 504, or its message was broken off.
///
/// Reads and writes return it in a [`CallError`] or, through the [`std::io`] traits, in an [`io::Error`] of kind
/// [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlineExceeded;

error_text!(DeadlineExceeded, "the deadline of the request has passed");

/// The request body cannot be read to its end.
///
/// Every later read returns the same error: a body that was cut short never looks complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputError {
    /// The body is larger than the mount allows.
    TooLarge {
        /// The limit, in bytes; see [`Gateway::body_limit`](crate::Gateway::body_limit).
        limit: u64,
    },
    /// The body ended before its declared length, or its framing is broken.
    Incomplete,
    /// The client took too long to send the body; see [`Gateway::body_idle`](crate::Gateway::body_idle).
    TimedOut,
}

impl InputError {
    /// The answer, if the application does not handle the error.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "the request body is larger than the limit of {limit} bytes"),
            Self::Incomplete => f.write_str("the request body ended before it was complete"),
            Self::TimedOut => f.write_str("the client took too long to send the request body"),
        }
    }
}

impl StdError for InputError {}

/// The application broke the contract; the message names the value and the fix.
///
/// Returned by [`StartResponse`](crate::StartResponse) and [`Write`](crate::Write).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractError {
    message: String,
}

impl ContractError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

error_text!(ContractError, |error| "{}", error.message);

/// Of kind [`InvalidInput`](io::ErrorKind::InvalidInput).
impl From<ContractError> for io::Error {
    fn from(error: ContractError) -> Self {
        Error::from(error).into_io()
    }
}

/// The application panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    message: String,
}

impl Panicked {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }

    /// The same panic, with the failure before it.
    pub(crate) fn after(self, earlier: &Error) -> Self {
        Self { message: format!("{} (after: {})", self.message, earlier.describe()) }
    }
}

error_text!(Panicked, |error| "panicked: {}", error.message);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_inside_an_io_error() {
        let error = Error::from(io::Error::other(InputError::TooLarge { limit: 1 }));
        assert_eq!(error.find(), Some(&InputError::TooLarge { limit: 1 }));
        assert!(!error.is_disconnected());
        assert!(Error::from(io::Error::new(io::ErrorKind::BrokenPipe, Disconnected)).is_disconnected());
    }

    #[test]
    fn the_description_names_every_cause_once() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("import failed")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from(Outer(io::Error::other(InputError::Incomplete)));
        assert_eq!(error.describe(), "import failed: the request body ended before it was complete");
    }
}
