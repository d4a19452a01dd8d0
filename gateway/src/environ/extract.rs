//! Values that axum's extractors make of a request.
//!
//! Threads: the application's; `json` and `form` block.

use std::any::type_name;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::extract::FromRequestParts;
use axum::response::IntoResponse;

use crate::Environ;
use crate::error::{Error, Result};
use crate::error_response::ErrorResponse;

/// # Extractors
impl Environ {
    /// Runs an extractor of axum: `Path`, `Query`, `MatchedPath`, `Extension`, `ConnectInfo` and others that need only
    /// the head of the request, without a state.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, extract::Path, routing::get};
    /// use gateway::{Environ, Pool, StartResponse, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn note(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    ///     // `/notes/x` is answered with 400.
    ///     let Path(id) = environ.extract::<Path<i64>>()?;
    ///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
    ///     Ok([format!("note {id}\n")])
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(4).build()?;
    /// let app: Router = Router::new().route("/notes/{id}", get(pool.mount(note)));
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A rejection is an [`Error::response`]: passed on with `?`, it is the response.
    ///
    /// The future of the extractor is polled once. An extractor that waits is an error, because a thread of the pool
    /// cannot wait for the runtime: use it as an argument of a [blocking handler](crate::Pool::handler), or in a layer.
    pub fn extract<T: FromRequestParts<()>>(&mut self) -> Result<T> {
        // The extractor may change the values that were computed.
        self.computed.take();
        let extraction = pin!(T::from_request_parts(&mut self.parts, &()));
        match extraction.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(extracted) => extracted.map_err(rejection::<T>),
            Poll::Pending => Err(Error::new(format!(
                "the extractor `{}` waits, which is not possible in an application; use it in a blocking handler",
                type_name::<T>()
            ))),
        }
    }
}

/// The rejection of an extractor as an error.
fn rejection<T>(rejection: impl IntoResponse) -> Error {
    let response = rejection.into_response();
    let message = format!("the extractor `{}` rejected the request: {}", type_name::<T>(), response.status());
    ErrorResponse::with_message(message, response).into()
}
