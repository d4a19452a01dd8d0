//! `Input` as an extractor.
//!
//! Threads: runtime.

use std::fmt;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Input;
use crate::handler::request_body::BodySlot;

/// The request body of a [blocking handler](crate::Pool::handler), streamed to its thread. Up to
/// [`read_ahead`](crate::Gateway::read_ahead) bytes are read before the thread is taken; with a
/// [`spool`](crate::Gateway::spool), all of it, unless the client waits for `100 Continue`.
///
/// # Example
///
/// ```
/// use std::io;
///
/// use axum::{Router, routing::post};
/// use gateway::{Input, Pool};
///
/// fn count(mut input: Input) -> gateway::Result<String> {
///     let bytes = io::copy(&mut input, &mut io::sink())?;
///     Ok(format!("{bytes} bytes\n"))
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(4).build()?;
/// let app: Router = Router::new().route("/count", post(pool.handler(count)));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
impl<S> FromRequest<S> for Input
where
    S: Send + Sync,
{
    type Rejection = InputRejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, InputRejection> {
        let input = BodySlot::of(request.extensions()).ok_or(InputRejection::NotBlocking)?.take_input().await;
        input.map_err(|refusal| InputRejection::Refused(refusal.status))
    }
}

/// The reason why there is no [`Input`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputRejection {
    /// The handler does not run on a pool: only [`Pool::handler`](crate::Pool::handler) has an input that blocks.
    NotBlocking,
    /// The body cannot be spooled; the client gets this status.
    Refused(StatusCode),
}

impl fmt::Display for InputRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBlocking => f.write_str("`Input` blocks; mount the handler with `pool.handler`"),
            Self::Refused(status) => write!(f, "the request body cannot be spooled: {status}"),
        }
    }
}

impl std::error::Error for InputRejection {}

impl IntoResponse for InputRejection {
    fn into_response(self) -> Response {
        match self {
            Self::NotBlocking => (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response(),
            Self::Refused(status) => status.into_response(),
        }
    }
}
