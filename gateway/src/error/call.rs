//! The error of the calls that an application makes.
//!
//! Threads: any.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use axum::response::{IntoResponse, Response};

use super::Error;

/// Why a call that an application made in this crate failed: a read of its [`Input`](crate::Input), a
/// [`StartResponse`](crate::StartResponse), a [`Write`](crate::Write).
///
/// It is a [`std::error::Error`] and converts with `?` into [`Error`], [`io::Error`], [`BoxError`](crate::BoxError),
/// `anyhow::Error`, and every error type with a `From<CallError>`. The text is that of the cause, and the cause is the
/// [`source`](StdError::source). Inside another error it therefore decides the answer as the cause alone does, in the
/// table of [`Error`], as long as the outer error names it as its source; `anyhow`'s contexts do.
///
/// [`Error`] converts into it, too: [`Error::response`] then passes through a function that returns `anyhow::Result`.
///
/// # Example
///
/// An error type of the application, which names the source:
///
/// ```
/// use std::error::Error;
/// use std::fmt;
///
/// use gateway::{CallError, Environ, StartResponse, wsgi_app};
///
/// #[derive(Debug)]
/// enum ImportError {
///     Call(CallError),
///     Number(std::num::ParseIntError),
/// }
///
/// impl From<CallError> for ImportError {
///     fn from(error: CallError) -> Self {
///         Self::Call(error)
///     }
/// }
///
/// # impl fmt::Display for ImportError {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
/// #         f.write_str("the import failed")
/// #     }
/// # }
/// impl Error for ImportError {
///     fn source(&self) -> Option<&(dyn Error + 'static)> {
///         match self {
///             Self::Call(error) => Some(error),
///             Self::Number(error) => Some(error),
///         }
///     }
/// }
///
/// #[wsgi_app]
/// fn import(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1], ImportError> {
///     let line = environ.input().readline()?;
///     let number: u32 = String::from_utf8_lossy(&line).trim().parse().map_err(ImportError::Number)?;
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok([format!("imported {number}\n")])
/// }
/// # let client = gateway::testing::Client::new(import);
/// # assert_eq!(client.post("/", "7\n").text(), "imported 7\n");
/// // The body is cut: the answer is 400, and not 500.
/// let cut = client.request("POST", "/").body("0123456789").cut_body_after(5).send();
/// assert_eq!(cut.status(), 400);
/// ```
pub struct CallError(Error);

impl CallError {
    /// The first `T` among the causes, as [`Error::find`].
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        self.0.find()
    }

    /// Whether one of the causes is [`Disconnected`](crate::Disconnected).
    pub fn is_disconnected(&self) -> bool {
        self.0.is_disconnected()
    }

    pub(crate) fn into_error(self) -> Error {
        self.0
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// With the kind that [`Error`] has as an [`io::Error`].
impl From<CallError> for io::Error {
    fn from(error: CallError) -> Self {
        error.into_error().into_io()
    }
}

/// As the response of [`Error`].
impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        self.into_error().into_response()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for CallError {
    /// The cause itself, and not its source: an `anyhow::Error` that becomes a boxed error hides the type of its
    /// outermost error, and shows the types of the sources only.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_std())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::error::{ContractError, DeadlineExceeded, Disconnected, InputError};
    use crate::error_response::ErrorResponse;

    /// As an `anyhow::Error` that became a boxed error: the text and the source of the error inside, without its type.
    #[derive(Debug)]
    struct Hiding<E>(E);

    impl<E: StdError> fmt::Display for Hiding<E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(&self.0, f)
        }
    }

    impl<E: StdError> StdError for Hiding<E> {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.0.source()
        }
    }

    fn assert_found<E: StdError + Send + Sync + 'static>(cause: impl Fn() -> E) {
        let call = || CallError::from(Error::from(cause()));
        assert!(call().find::<E>().is_some());
        assert!(Error::from(Hiding(call())).find::<E>().is_some());
        assert!(Error::from(Hiding(io::Error::from(call()))).find::<E>().is_some());
        // Converting back and forth adds nothing.
        let boxed: Box<dyn StdError + Send + Sync> = Box::new(call());
        for error in [Error::from(call()), Error::new(call()), Error::new(boxed)] {
            assert!(error.into_boxed().is::<E>());
        }
    }

    #[test]
    fn the_cause_is_found_in_every_outer_error() {
        assert_found(|| Disconnected);
        assert_found(|| DeadlineExceeded);
        assert_found(|| InputError::Incomplete);
        assert_found(|| ContractError::new("broken"));
        assert_found(|| ErrorResponse::new(StatusCode::NOT_FOUND.into_response()));
    }

    #[test]
    fn the_text_of_the_cause_is_in_the_log_once() {
        let call = || CallError::from(Error::from(InputError::Incomplete));
        let text = InputError::Incomplete.to_string();
        for error in [Error::from(Hiding(call())), Error::from(Hiding(io::Error::from(call())))] {
            assert_eq!(error.describe(), text);
        }
    }
}
