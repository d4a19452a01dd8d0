//! The id of a request, from and to its header.
//!
//! Threads: runtime.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::RequestId;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A layer that takes the id of a request from its header `X-Request-Id`, and puts it into that header of the response.
///
/// The id is in the request's extensions, as [`RequestId`], so it is the one in the log and in the environ. An id from
/// the request is used only if the header is there once and has 1 to 128 letters, digits and `+-./:=@_~`, which are
/// safe in every log; otherwise the request gets a new id. An id that an outer layer has set goes before the header.
/// Clients may send any id: use it to find a request, and trust it no further.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use gateway::{Pool, RequestId, RequestIdLayer};
///
/// fn show(axum::Extension(id): axum::Extension<RequestId>) -> String {
///     id.as_str().to_owned()
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(4).build()?;
/// let app: Router = Router::new().route("/", get(pool.handler(show))).layer(RequestIdLayer::new());
/// # drop(app);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RequestIdLayer;

impl RequestIdLayer {
    /// The layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, service: S) -> RequestIdService<S> {
        RequestIdService { service }
    }
}

/// A service whose requests have ids. Created by [`RequestIdLayer`].
#[derive(Debug, Clone)]
pub struct RequestIdService<S> {
    service: S,
}

impl<S, B, R> Service<Request<B>> for RequestIdService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RequestIdFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> RequestIdFuture<S::Future> {
        let id = RequestId::given(request.extensions()).or_else(|| sent(request.headers()));
        let id = id.unwrap_or_else(RequestId::new_unique);
        // An id of an outer layer may be no header value.
        let value = HeaderValue::from_str(id.as_str()).ok();
        request.extensions_mut().insert(id);
        RequestIdFuture { inner: self.service.call(request), value }
    }
}

/// The id that the client has sent. Of two ids, neither is used: proxies in front may have logged the other one.
fn sent(headers: &HeaderMap) -> Option<RequestId> {
    let mut values = headers.get_all(HEADER).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { RequestId::of_client(first) }
}

pin_project! {
    /// The future of [`RequestIdService`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct RequestIdFuture<F> {
        #[pin]
        inner: F,
        value: Option<HeaderValue>,
    }
}

impl<F, R, E> Future for RequestIdFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(value) = this.value.take() {
            response.headers_mut().insert(HEADER, value);
        }
        Poll::Ready(Ok(response))
    }
}
