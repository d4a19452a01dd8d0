//! Forms with files: `multipart/form-data`.
//!
//! Threads: the application's; blocks. The extractor: runtime.

pub(crate) mod error;
pub(crate) mod field;
mod boundary;
mod delimiters;
mod parser;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

use self::boundary::boundary;
use self::error::MultipartError;
use self::field::Field;
use self::parser::Parser;
use crate::Environ;
use crate::body::input::Input;

/// A form with files, read field by field: the request body of type `multipart/form-data` (RFC 7578).
///
/// An application gets it from [`Environ::multipart`], a [blocking handler](crate::Pool::handler) as its last argument.
/// Each [`Field`] is a reader; a file of any size streams in constant memory. The form as a whole is within the mount's
/// [`body_limit`](crate::Gateway::body_limit), too.
///
/// # Example
///
/// ```
/// use std::io;
///
/// use axum::{Router, routing::post};
/// use gateway::{Multipart, Pool};
///
/// fn upload(form: Multipart) -> gateway::Result<String> {
///     let mut form = form.field_limit(10 << 20);
///     let mut report = String::new();
///     while let Some(mut field) = form.next()? {
///         let name = field.name().unwrap_or_default().to_owned();
///         if field.file_name().is_some() {
///             let bytes = io::copy(&mut field, &mut tempfile::tempfile()?)?;
///             report += &format!("{name}: {bytes} bytes\n");
///         } else {
///             report += &format!("{name}: {}\n", field.text(1000)?);
///         }
///     }
///     Ok(report)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(4).build()?;
/// let app: Router = Router::new().route("/upload", post(pool.handler(upload)));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
///
/// # Threads
///
/// Reads block while they wait for the client: pool threads only.
#[derive(Debug)]
pub struct Multipart {
    parser: Parser,
    field_limit: u64,
    /// How many bytes of the current field were received.
    received: u64,
    /// How the form ended: `Some(false)` for an error, after which nothing looks like an end.
    end: Option<bool>,
}

impl Multipart {
    fn new(boundary: String, input: Input) -> Self {
        Self { parser: Parser::new(boundary, input), field_limit: u64::MAX, received: 0, end: None }
    }

    /// How many bytes a field may have. Default: as many as the form.
    #[must_use]
    pub fn field_limit(mut self, bytes: u64) -> Self {
        self.field_limit = bytes;
        self
    }

    /// How many bytes the form may have, with its boundaries and headers. Default: the mount's
    /// [`body_limit`](crate::Gateway::body_limit).
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.parser.set_limit(bytes);
        self
    }

    /// The next field; `None` after the last. Skips the unread rest of the previous field.
    ///
    /// # Errors
    ///
    /// [`MultipartError`], and after it only errors: a form that was cut never looks complete.
    #[expect(clippy::should_implement_trait, reason = "a field borrows the form, which no item of an iterator can")]
    pub fn next(&mut self) -> Result<Option<Field<'_>>, MultipartError> {
        while self.chunk()?.is_some() {}
        if self.end == Some(true) {
            return Ok(None);
        }
        self.received = 0;
        match self.parser.next_field() {
            Ok(true) => Ok(Some(Field::new(self))),
            Ok(false) => {
                self.end = Some(true);
                Ok(None)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// The next bytes of the current field.
    fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        if self.end == Some(false) {
            return Err(MultipartError::Malformed("an earlier read has failed".to_owned()));
        }
        let chunk = self.parser.chunk().map_err(|error| self.fail(error))?;
        self.received += chunk.as_ref().map_or(0, Bytes::len) as u64;
        if self.received > self.field_limit {
            let limit = self.field_limit;
            return Err(self.fail(MultipartError::TooLarge { limit }));
        }
        Ok(chunk)
    }

    fn fail(&mut self, error: MultipartError) -> MultipartError {
        self.end = Some(false);
        error
    }
}

/// # Forms
impl Environ {
    /// Takes the request body as a form with files.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Environ, StartResponse, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn field_names(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    ///     let mut form = environ.multipart()?;
    ///     let mut names = String::new();
    ///     while let Some(field) = form.next()? {
    ///         names += field.name().unwrap_or("?");
    ///     }
    ///     start_response("200 OK", &[])?;
    ///     Ok([names])
    /// }
    /// # let client = gateway::testing::Client::new(field_names);
    /// # assert_eq!(client.post("/", "").status(), 415);
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultipartError::NotMultipart`] and [`MultipartError::NoBoundary`]; the body stays unread.
    pub fn multipart(&mut self) -> Result<Multipart, MultipartError> {
        let boundary = boundary(self.content_type())?;
        Ok(Multipart::new(boundary, self.take_input()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Multipart {
    type Rejection = MultipartError;

    async fn from_request(request: Request, state: &S) -> Result<Self, MultipartError> {
        let boundary = boundary(request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()))?;
        let input = Input::from_request(request, state).await.map_err(MultipartError::Rejected)?;
        Ok(Self::new(boundary, input))
    }
}
