//! The request target, as received.
//!
//! Threads: any.

use std::borrow::Cow;

use axum::extract::{NestedPath, OriginalUri};
use axum::response::IntoResponse as _;
use http::request::Parts;
use http::{StatusCode, Uri, Version};
use percent_encoding::percent_decode_str;

use crate::Environ;
use crate::error::{CallError, Error};
use crate::error_response::ErrorResponse;

impl Environ {
    /// The path of [`uri`](Environ::uri), percent-decoded once, as text: `/café`. In the variables of CGI,
    /// [`path_info`](Environ::path_info) among them, it is `/cafÃ©`.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Environ, StartResponse, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn page(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    ///     let path = environ.path()?.into_owned();
    ///     start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    ///     Ok([path])
    /// }
    /// # let client = gateway::testing::Client::new(page);
    /// # assert_eq!(client.get("/caf%C3%A9").text(), "/café");
    /// # assert_eq!(client.get("/caf%E9").status(), 400);
    /// ```
    ///
    /// # Errors
    ///
    /// The path is not UTF-8. Passed on with `?`, that is a 400.
    pub fn path(&self) -> Result<Cow<'_, str>, CallError> {
        percent_decode_str(self.uri().path()).decode_utf8().map_err(|_| {
            let response = (StatusCode::BAD_REQUEST, "the path is not UTF-8\n").into_response();
            Error::from(ErrorResponse::with_message("the path of the request is not UTF-8".to_owned(), response)).into()
        })
    }
}

/// The URI before routers removed prefixes.
pub(crate) fn original(parts: &Parts) -> &Uri {
    parts.extensions.get().map_or(&parts.uri, |OriginalUri(original)| original)
}

/// The URI with another path, which is percent-encoded; `/` if that is empty. `None` if it is no path.
pub(crate) fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path = if path.is_empty() { "/" } else { path };
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The requested path, for the log.
pub(crate) fn original_path(parts: &Parts) -> &str {
    original(parts).path()
}

/// The pattern of the routers' prefix, for the log.
pub(crate) fn mount_path(nested: Option<&NestedPath>) -> &str {
    nested.map_or("/", NestedPath::as_str)
}

/// The target on the wire: a path with its query, or an absolute URL.
pub(crate) fn written(parts: &Parts) -> Cow<'_, str> {
    let uri = original(parts);
    // HTTP/2 always carries an authority; on HTTP/1 only an absolute target does.
    if uri.authority().is_some() && parts.version < Version::HTTP_2 {
        return uri.to_string().into();
    }
    uri.path_and_query().map_or("", |target| target.as_str()).into()
}
