//! Applications in the types of the `http` crate.
//!
//! Threads: pool; blocks.

use std::marker::PhantomData;

use http::{Request, Response};
use hyper::ext::ReasonPhrase;

use crate::error::{BoxError, Error, Result};
use crate::{Application, Chunks, Environ, Input, IntoChunks, ResponseHead, StartResponse};

/// Makes an application out of a blocking fn from request to response, in the types of the `http` crate.
///
/// The request has its extensions, and the URI without the prefix that routing consumed, as in every service under a
/// nest. The body of the response is any type that converts to [`Chunks`]. All guarantees are the same: streaming in
/// both directions ([`Input::into_chunks`] sends the body back), checked heads, one length authority, failures that
/// cannot look like success.
///
/// # Example
///
/// ```
/// use gateway::{Gateway, Input, http_fn};
/// use http::{Request, Response};
///
/// fn shout(mut request: Request<Input>) -> gateway::Result<Response<[String; 1]>> {
///     let text = String::from_utf8(request.body_mut().read_all()?)?;
///     Ok(Response::builder().header("content-type", "text/plain").body([text.to_uppercase()])?)
/// }
///
/// let service = Gateway::new(http_fn(shout));
/// # let client = gateway::testing::Client::new(http_fn(shout));
/// # let response = client.post("/", "hello");
/// # assert_eq!((response.text().as_str(), response.headers()["content-type"].to_str()?), ("HELLO", "text/plain"));
/// # drop(service);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn http_fn<F, B, E>(function: F) -> HttpFn<F, B, E>
where
    F: Fn(Request<Input>) -> Result<Response<B>, E> + Send + Sync + 'static,
    B: IntoChunks<'static> + 'static,
    E: Into<BoxError> + 'static,
{
    HttpFn { function, returns: PhantomData }
}

/// A fn from request to response as an application. Created by [`http_fn`].
pub struct HttpFn<F, B, E> {
    function: F,
    returns: PhantomData<fn() -> Result<B, E>>,
}

impl<F, B, E> Application for HttpFn<F, B, E>
where
    F: Fn(Request<Input>) -> Result<Response<B>, E> + Send + Sync + 'static,
    B: IntoChunks<'static> + 'static,
    E: Into<BoxError> + 'static,
{
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        let (mut head, body) = (self.function)(environ.take_request()).map_err(Error::new)?.into_parts();
        let reason = head.extensions.remove::<ReasonPhrase>();
        start_response.head(ResponseHead::new(head.status, head.headers).with_reason(reason))?;
        Ok(body.into_chunks())
    }
}

partial_debug!(HttpFn<F, B, E>, |_this| function: std::any::type_name::<F>());
