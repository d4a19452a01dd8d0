//! Requests without a network.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service as _;

use crate::service::Mount;
use crate::sync::Arc;
use crate::testing::Inline;
use crate::{Application, Gateway};

/// Sends requests to an application through the real adapter.
///
/// See the [module](crate::testing) for an example.
///
/// # Panics
///
/// A test client panics where a test would: on a target or a header that is not valid, and when a body is asked for that the
/// application broke off. The messages name the value.
#[derive(Clone, Debug)]
pub struct Client {
    gateway: Gateway,
}

impl Client {
    /// A client for `application`, with the settings that [`Gateway::new`] has.
    pub fn new(application: impl Application) -> Self {
        Self::of(Gateway::new(application).executor(Inline::new()))
    }

    /// A client for a gateway with settings, and an executor, of its own.
    pub fn of(gateway: Gateway) -> Self {
        Self { gateway }
    }

    /// Sends a GET request.
    pub fn get(&self, target: &str) -> Response {
        self.request("GET", target).send()
    }

    /// Sends a POST request with a body.
    pub fn post(&self, target: &str, body: impl Into<Bytes>) -> Response {
        self.request("POST", target).body(body).send()
    }

    /// A request to add to, before it is sent.
    ///
    /// # Panics
    ///
    /// Panics if the method or the target is not valid HTTP.
    pub fn request(&self, method: &str, target: &str) -> Request {
        let uri: Uri = target.parse().unwrap_or_else(|error| panic!("the target {target:?} is not valid: {error}"));
        let method = method.parse().unwrap_or_else(|error| panic!("the method {method:?} is not valid: {error}"));
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = uri;
        *request.method_mut() = method;
        request.headers_mut().insert("host", HeaderValue::from_static("test.local"));
        Request { gateway: self.gateway.clone(), request }
    }
}

/// A request that is not sent yet. Created by [`Client::request`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    gateway: Gateway,
    request: http::Request<Bytes>,
}

impl Request {
    /// Adds a header; earlier ones of that name stay, but for `Host`, which is replaced.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is not valid HTTP.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes())
            .unwrap_or_else(|error| panic!("the header name {name:?} is not valid: {error}"));
        let value = HeaderValue::from_bytes(value.as_bytes())
            .unwrap_or_else(|error| panic!("the value {value:?} of header {name:?} is not valid: {error}"));
        if name == http::header::HOST {
            self.request.headers_mut().insert(name, value);
        } else {
            self.request.headers_mut().append(name, value);
        }
        self
    }

    /// Sets the body, and its `Content-Length`.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.request.headers_mut().insert("content-length", HeaderValue::from(body.len()));
        *self.request.body_mut() = body;
        self
    }

    /// Adds an extension, as a layer in front of the gateway would.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.request.extensions_mut().insert(extension);
        self
    }

    /// Sends the request, and waits for all of the response.
    pub fn send(self) -> Response {
        let Self { mut gateway, request } = self;
        let answered = block_on(gateway.call(request.map(Once)));
        let (head, mut body) = answered.unwrap_or_else(|never| match never {}).into_parts();
        let (mut chunks, mut trailers) = (Vec::new(), None);
        let outcome = loop {
            match block_on(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => chunks.push(bytes),
                    Err(other) => trailers = other.into_trailers().ok(),
                },
                Some(Err(_)) => break Outcome::Aborted,
                None => break Outcome::Complete,
            }
        };
        Response { head, chunks, trailers, outcome }
    }

    /// The request for [`with_request`](crate::testing::with_request).
    pub(crate) fn into_parts(self) -> (Arc<Mount>, http::request::Parts, Once) {
        let (parts, body) = self.request.into_parts();
        (Arc::clone(self.gateway.mount()), parts, Once(body))
    }
}

/// A whole response. Created by [`Request::send`].
#[derive(Debug)]
pub struct Response {
    head: http::response::Parts,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    outcome: Outcome,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client got all of it.
    Complete,
    /// The application failed after its first byte: the message was broken off.
    Aborted,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// How the response ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The body as it came, chunk by chunk, broken off or not.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The fields that came after the body, if there were any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The body.
    ///
    /// # Panics
    ///
    /// Panics if the response was broken off; then there is only a part, in [`chunks`](Response::chunks).
    pub fn bytes(&self) -> Vec<u8> {
        assert_eq!(self.outcome, Outcome::Complete, "the response was broken off after {} chunks", self.chunks.len());
        self.chunks.concat()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// Panics if the response was broken off, or is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap_or_else(|error| panic!("the response body is not UTF-8: {error}"))
    }
}

/// A request body in one frame.
pub(crate) struct Once(Bytes);

impl Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Runs a future on this thread. With [`Inline`] it never has to wait; with another executor it may.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    /// Wakes by message: a channel cannot be confused with what an application does to its thread.
    struct Bell(mpsc::Sender<()>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            // Nobody listens any more once the future is done.
            let _ = self.0.send(());
        }
    }
    let (sender, rung) = mpsc::channel();
    let waker = Waker::from(Arc::new(Bell(sender)));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // The waker lives in this function, so the sender does, too.
        let _ = rung.recv();
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.0.len()).finish()
    }
}
