//! Values that axum's extractors make of a request.
//!
//! Threads: the application's; `json` and `form` block.

use std::any::type_name;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[cfg(any(feature = "form", feature = "json"))]
use axum::body::Body;
use axum::extract::FromRequestParts;
#[cfg(any(feature = "form", feature = "json"))]
use axum::extract::{DefaultBodyLimit, FromRequest};
use axum::response::IntoResponse;
#[cfg(any(feature = "form", feature = "json"))]
use serde_core::de::DeserializeOwned;

use crate::Environ;
#[cfg(any(feature = "form", feature = "json"))]
use crate::body::input::Input;
#[cfg(any(feature = "form", feature = "json"))]
use crate::body::lent_body::Loan;
use crate::error::{CallError, Error, Result};
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
    pub fn extract<T: FromRequestParts<()>>(&mut self) -> Result<T, CallError> {
        // The extractor may change the values that were computed.
        self.computed.take();
        Ok(poll_once(T::from_request_parts(&mut self.parts, &()))?)
    }

    /// Reads the request body as JSON, with the checks and the rejections of axum's [`Json`](axum::Json): 415 for
    /// another content type, before the body is read; 400 for malformed JSON and 422 for another type, with the
    /// position. The limit is [`body_limit`](crate::Gateway::body_limit), and not axum's of 2 MB.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Environ, StartResponse, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn sum(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    ///     let numbers: Vec<i64> = environ.json()?;
    ///     start_response("200 OK", &[("Content-Type", "application/json")])?;
    ///     Ok([numbers.iter().sum::<i64>().to_string()])
    /// }
    /// # let client = gateway::testing::Client::new(sum);
    /// # let post = |kind, body| client.request("POST", "/").header("content-type", kind).body(body).send();
    /// # assert_eq!(post("application/json", "[1, 2]").text(), "3");
    /// # assert_eq!(post("text/plain", "[1, 2]").status(), 415);
    /// ```
    ///
    /// # Errors
    ///
    /// A rejection is an [`Error::response`]. A body that cannot be read is the error of [`Input`](crate::Input).
    #[cfg(feature = "json")]
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let axum::Json(value) = self.extract_body()?;
        Ok(value)
    }

    /// Reads the request body as a form, with the checks and the rejections of axum's [`Form`](axum::Form): 415 for
    /// another content type, before the body is read; 422 for another type. With GET and HEAD it reads the query. The
    /// limit is [`body_limit`](crate::Gateway::body_limit), and not axum's of 2 MB.
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::{Environ, StartResponse, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn greet(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    ///     // Or a type of your own that implements `Deserialize`.
    ///     let fields: Vec<(String, String)> = environ.form()?;
    ///     let name = fields.iter().find(|(key, _)| key == "name").map_or("", |(_, name)| name);
    ///     start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    ///     Ok([format!("Hello, {name}!\n")])
    /// }
    /// # let client = gateway::testing::Client::new(greet);
    /// # let request = client.request("POST", "/").header("content-type", "application/x-www-form-urlencoded");
    /// # assert_eq!(request.body("name=Zo%C3%AB+B").send().text(), "Hello, Zoë B!\n");
    /// ```
    ///
    /// # Errors
    ///
    /// A rejection is an [`Error::response`]. A body that cannot be read is the error of [`Input`](crate::Input).
    #[cfg(feature = "form")]
    pub fn form<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let axum::Form(value) = self.extract_body()?;
        Ok(value)
    }

    /// Runs an extractor of the body on the input.
    #[cfg(any(feature = "form", feature = "json"))]
    fn extract_body<T: FromRequest<()>>(&mut self) -> Result<T> {
        let loan = Loan::default();
        let body = Body::new(loan.body(std::mem::replace(&mut self.input, Input::empty())));
        let mut request = http::Request::from_parts(self.parts.clone(), body);
        // The input enforces the mount's limit.
        DefaultBodyLimit::disable().apply(&mut request);
        let extracted = poll_once(T::from_request(request, &()));
        match loan.end() {
            Some((input, failure)) => {
                self.input = input;
                failure.map_or(extracted, Err)
            }
            None => extracted,
        }
    }
}

/// Polls an extractor once: no task wakes this thread.
fn poll_once<T, R: IntoResponse>(extraction: impl Future<Output = Result<T, R>>) -> Result<T> {
    match pin!(extraction).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(extracted) => extracted.map_err(rejection::<T>),
        Poll::Pending => Err(Error::new(format!(
            "the extractor `{}` waits, which is not possible in an application; use it in a blocking handler",
            type_name::<T>()
        ))),
    }
}

/// The rejection of an extractor as an error.
fn rejection<T>(rejection: impl IntoResponse) -> Error {
    let response = rejection.into_response();
    let message = format!("the extractor `{}` rejected the request: {}", type_name::<T>(), response.status());
    ErrorResponse::with_message(message, response).into()
}
