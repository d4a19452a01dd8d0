//! What can go wrong, and how it shows to the application and to the client.
//!
//! Threads: any.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::StatusCode;

/// An error of any type, boxed. What [`Error`] holds and what most error types convert into.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The result type of applications and of everything they call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an application, or a call it made, failed.
///
/// Any [`std::error::Error`] converts into it, so an application may use `?` on what it calls. Errors that are no such
/// type, `anyhow::Error` and boxed ones, come in with `.map_err(Error::new)`. It is not itself an
/// [`std::error::Error`], which is what makes the conversion possible; [`Error::into_boxed`] and `From` turn it into
/// one.
///
/// An error that leaves the application decides what the client sees, as long as nothing has been sent:
///
/// | the error, or one of its sources | answer |
/// |---|---|
/// | [`InputError::TooLarge`] | 413 |
/// | [`InputError::TimedOut`] | 408 |
/// | [`InputError::Incomplete`] | 400 |
/// | [`Disconnected`] | none: the client has gone, and no failure is logged |
/// | [`DeadlineExceeded`] | 504 |
/// | any other | 500 |
///
/// After the first byte the message is aborted, whatever the error. Libraries that hide the error of the reader or
/// writer they were given do no harm: an application that fails after it was told of one of these counts as failing
/// because of it.
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
    /// Makes an error out of anything that converts into a boxed error; text does.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }

    /// The error inside, boxed.
    pub fn into_boxed(self) -> BoxError {
        self.0
    }

    /// The first `T` among this error and its sources, whatever wraps it.
    ///
    /// Looks through [`std::io::Error`], which hides the error it was made from.
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        self.chain().find_map(|error| error.downcast_ref())
    }

    /// Whether this error says that the client has gone.
    pub fn is_disconnected(&self) -> bool {
        self.find::<Disconnected>().is_some()
    }

    /// This error and all that caused it, outermost first.
    fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first: &(dyn StdError + 'static) = &*self.0;
        std::iter::successors(Some(first), |error| cause(*error))
    }

    /// The message with its causes, for the log: `outer: inner: innermost`.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for error in self.chain() {
            let message = error.to_string();
            // A wrapper that repeats its source adds nothing.
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

    /// The same error for `std::io`, by the kind that says what happened: the client has gone, the deadline has passed,
    /// the request body cannot be read, the contract was broken, or what an `io::Error` inside says.
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
        io::Error::new(kind, self.into_boxed())
    }
}

/// What caused an error. An [`io::Error`] made from another error does not name it as its source.
fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
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

/// The client has gone: nothing that is written arrives, nothing more can be read.
///
/// Reads and writes give it inside [`Error`] or, through the [`std::io`] traits, inside an [`io::Error`] of kind
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe). An application that lets it escape has not failed; nothing is logged as
/// an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has disconnected")
    }
}

impl StdError for Disconnected {}

/// The mount's [deadline](crate::Gateway::deadline) has passed: the client has been answered with 504, or its message
/// broken off.
///
/// Reads and writes give it inside [`Error`] or, through the [`std::io`] traits, inside an [`io::Error`] of kind
/// [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlineExceeded;

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline of the request has passed")
    }
}

impl StdError for DeadlineExceeded {}

/// The request body cannot be read to its end.
///
/// Every later read fails in the same way: a body that was cut short never looks complete.
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
    /// The client took too long to send it; see [`Gateway::body_idle`](crate::Gateway::body_idle).
    TimedOut,
}

impl InputError {
    /// The answer, if the application does not cope.
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
/// Given by [`StartResponse`](crate::StartResponse) and [`Write`](crate::Write).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractError {
    message: String,
}

impl ContractError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ContractError {}

/// The application panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    message: String,
}

impl Panicked {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }

    /// The same panic, with the failure that came before it.
    pub(crate) fn after(self, earlier: &Error) -> Self {
        Self { message: format!("{} (after: {})", self.message, earlier.describe()) }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl StdError for Panicked {}

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
