//! Files as responses: conditional requests, and one range.
//!
//! Threads: pool; blocks.

mod byte_range;
pub(crate) mod conditions;
mod entity_tag;
mod error;
mod version;

use std::fmt;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use self::conditions::{Answer, Conditions};
pub use self::error::FileError;
use self::version::Version;
use crate::Environ;
use crate::error::{CallError, ContractError, Error, Result};
use crate::response::chunks::Chunks;
use crate::response::start_response::StartResponse;
use crate::response::streamed::Streamed;

/// A file as a response: with `Content-Type`, `ETag` and `Last-Modified`, for conditional requests, and in parts, so
/// that clients can resume a download.
///
/// [`send`](Self::send) sends it as the response of an application; a [blocking handler](crate::Pool::handler) returns
/// it. As with [`Chunks::file`], a large file needs no pool thread while it is sent.
///
/// * Conditions are evaluated in the order of RFC 9110 §13.2.2: `If-Match` or `If-Unmodified-Since` (412), then
///   `If-None-Match` or `If-Modified-Since` (304), then `Range` with `If-Range` (206, or 416 beyond the end). Several
///   ranges in one request get the whole file. HEAD gets the headers.
/// * The `ETag` consists of the time of the last change, in nanoseconds, and the length. It is strong once the file has
///   not changed for 2 seconds; until then it is weak and there is no `Last-Modified`, because another change might
///   leave time and length as they are. For files whose times are set by a program, such as those of reproducible
///   packages, set your own: `.header(ETAG, "\"v7\"")`.
/// * The `Content-Type` is guessed from the name, without a charset; `application/octet-stream` if there is no guess.
///
/// # Security
///
/// The application chooses the path. Nothing here joins a path with text of a client: look the name up in a database,
/// or accept plain names only, as the example does.
///
/// # Example
///
/// In a handler, [`Conditions`] are an extractor:
///
/// ```
/// use axum::{Router, extract::Path, routing::get};
/// use gateway::{Conditions, FileError, FileResponse, Pool};
///
/// fn download(conditions: Conditions, Path(name): Path<String>) -> Result<FileResponse, FileError> {
///     if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
///         return Err(FileError::NotFound);
///     }
///     Ok(FileResponse::open(format!("reports/{name}.pdf"))?.conditions(conditions))
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(4).build()?;
/// let app: Router = Router::new().route("/reports/{name}", get(pool.handler(download)));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
///
/// An application passes the environ, which has the conditions:
///
/// ```
/// use gateway::{Chunks, Environ, FileResponse, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn manifest(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
///     let file = FileResponse::open("Cargo.toml")?.content_type("application/toml");
///     Ok(file.send(environ, start_response)?)
/// }
/// # let client = gateway::testing::Client::new(manifest);
/// # let part = client.request("GET", "/").header("range", "bytes=1-7").send();
/// # assert_eq!((part.status().as_u16(), part.text().as_str()), (206, "package"));
/// ```
///
/// # Threads
///
/// Blocks on the file system: pool threads only. As the response of an async handler, the body fails.
#[must_use = "a file is sent by `send`, or as the result of a handler"]
pub struct FileResponse {
    file: File,
    length: u64,
    modified: Option<SystemTime>,
    headers: HeaderMap,
    /// A header value that cannot be sent.
    problem: Option<ContractError>,
    conditions: Conditions,
}

impl FileResponse {
    /// The file at a path.
    ///
    /// # Errors
    ///
    /// [`FileError::NotFound`], which is a 404, if there is no regular file; [`FileError::Io`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        // Checked before the open: opening a named pipe would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(FileError::NotFound);
        }
        let response = Self::new(File::open(path)?)?;
        Ok(match mime_guess::from_path(path).first_raw() {
            Some(guess) => response.header(header::CONTENT_TYPE, HeaderValue::from_static(guess)),
            None => response,
        })
    }

    /// An open file, from its start, wherever its position is.
    ///
    /// # Errors
    ///
    /// [`FileError::NotFound`], which is a 404, if it is no regular file; [`FileError::Io`] if the system fails.
    pub fn new(file: File) -> Result<Self, FileError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FileError::NotFound);
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        Ok(Self {
            file,
            length: metadata.len(),
            // Not all systems store this time.
            modified: metadata.modified().ok(),
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, octets)]),
            problem: None,
            conditions: Conditions::default(),
        })
    }

    /// Sets the `Content-Type`.
    pub fn content_type(self, value: impl TryInto<HeaderValue>) -> Self {
        self.header(header::CONTENT_TYPE, value)
    }

    /// Sets a header, in place of the one that the file would have. A value that no header can have is an error of
    /// [`send`](Self::send), and a 500 of a handler.
    pub fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        match value.try_into() {
            Ok(value) => drop(self.headers.insert(name, value)),
            Err(_) => {
                let message = format!("the value of header {name:?} holds a control character");
                self.problem.get_or_insert_with(|| ContractError::new(message));
            }
        }
        self
    }

    /// Sets the conditions of the request. Without them, the whole file is sent.
    pub fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Starts the response to this request, and returns its body.
    ///
    /// # Errors
    ///
    /// Those of [`StartResponse`], and of the file system.
    #[expect(clippy::needless_pass_by_value, reason = "a response is started once")]
    pub fn send(self, environ: &Environ, start_response: StartResponse<'_>) -> Result<Chunks<'static>, CallError> {
        let conditions = Conditions::new(environ.method(), environ.headers());
        let (status, headers, file) = self.conditions(conditions).answer()?;
        start_response.with(status, headers)?;
        Ok(file.map_or_else(Chunks::empty, Chunks::file))
    }

    /// The head, and the file at the first byte to send.
    fn answer(self) -> Result<(StatusCode, HeaderMap, Option<File>)> {
        let Self { mut file, length, modified, mut headers, problem, conditions } = self;
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let mut version = Version::new(length, modified, SystemTime::now());
        if let Some(own) = headers.get(header::ETAG) {
            version.tag = Some(own.clone());
        } else if let Some(tag) = &version.tag {
            headers.insert(header::ETAG, tag.clone());
        }
        if let Some(date) = version.last_modified() {
            headers.entry(header::LAST_MODIFIED).or_insert(date);
        }
        let answer = conditions.evaluate(&version, length);
        let (status, part) = match answer {
            Answer::Whole => (StatusCode::OK, 0..length),
            Answer::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Answer::NotModified => return Ok(without_file(StatusCode::NOT_MODIFIED, headers)),
            Answer::PreconditionFailed => return Ok(without_file(StatusCode::PRECONDITION_FAILED, headers)),
            Answer::RangeNotSatisfiable => {
                headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(format!("bytes */{length}"))?);
                return Ok(without_file(StatusCode::RANGE_NOT_SATISFIABLE, headers));
            }
        };
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(range)?);
        }
        // Files of `/proc` claim to be empty: without a declared length, the body is what can be read.
        if length > 0 {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        }
        file.seek(SeekFrom::Start(part.start))?;
        Ok((status, headers, (!conditions.is_head()).then_some(file)))
    }
}

/// A head without the fields that describe a body which is not sent. `ETag` and the caching fields stay (RFC 9110
/// §15.4.5).
fn without_file(status: StatusCode, mut headers: HeaderMap) -> (StatusCode, HeaderMap, Option<File>) {
    for name in [
        header::CONTENT_DISPOSITION,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::LAST_MODIFIED,
    ] {
        headers.remove(name);
    }
    (status, headers, None)
}

/// For blocking handlers.
impl IntoResponse for FileResponse {
    fn into_response(self) -> Response {
        match self.answer() {
            Ok((status, headers, file)) => {
                let body = Streamed::of(|| file.map_or_else(Chunks::empty, Chunks::file));
                (status, headers, body).into_response()
            }
            Err(error) => Error::into_response(error),
        }
    }
}

impl fmt::Debug for FileResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileResponse").field("length", &self.length).field("headers", &self.headers).finish()
    }
}
