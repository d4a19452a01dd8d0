//! Requests without a network.
//!
//! Threads: the test's; blocks.

use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use http_body::Body as _;
use tower_service::Service as _;

use crate::observe::warning::Warning;
use crate::service::mount::Mount;
use crate::testing::Inline;
use crate::testing::faults::{Faults, Frames, ReadMode, ThreadPerJob};
use crate::{Application, Gateway};

/// Sends requests to an application through the real adapter.
///
/// See the [module](crate::testing) for an example.
///
/// # Panics
///
/// Panics on a target or a header that is not valid, and when an incomplete body is read as a whole. The messages name
/// the value.
#[derive(Clone, Debug)]
pub struct Client {
    gateway: Gateway,
}

impl Client {
    /// A client for `application`, with the settings of [`Gateway::new`].
    pub fn new(application: impl Application) -> Self {
        Self::of(Gateway::new(application).executor(Inline::new()))
    }

    /// A client for a gateway with its own settings and executor.
    pub fn of(mut gateway: Gateway) -> Self {
        // Without a server there is no peer address: no warning.
        gateway.settings_mut().no_peer = Arc::new(Warning::waived());
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

    /// Creates a request, to be changed and sent.
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
        Request { gateway: self.gateway.clone(), request, faults: Faults::default() }
    }
}

/// A request that is not sent yet. Created by [`Client::request`].
///
/// # Example
///
/// ```
/// # let upload = gateway::application_fn(|environ, start_response| {
/// #     environ.input().read_all()?;
/// #     start_response("200 OK", &[])?;
/// #     Ok(gateway::Chunks::empty())
/// # });
/// let client = gateway::testing::Client::new(upload);
/// let request = client.request("PUT", "/file").header("Content-Type", "text/plain").body("half of it is lost");
/// assert_eq!(request.cut_body_after(9).send().status(), 400);
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    gateway: Gateway,
    request: http::Request<Bytes>,
    faults: Faults,
}

impl Request {
    /// Adds a header. Keeps earlier ones of that name, except `Host`, which is replaced.
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

    /// Splits the body into frames of at most this many bytes, as a network does.
    ///
    /// # Panics
    ///
    /// Panics if `bytes` is 0.
    pub fn body_frames(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "frames of 0 bytes never make a body");
        self.faults.frame = Some(bytes);
        self
    }

    /// Makes the body fail after this many bytes.
    pub fn cut_body_after(mut self, bytes: usize) -> Self {
        self.faults.cut = Some(bytes);
        self
    }

    /// Makes the client read one chunk at a time: the application is at most one chunk ahead.
    pub fn read_slowly(mut self) -> Self {
        self.faults.read_mode = ReadMode::Slow;
        self
    }

    /// Makes the client read the head and nothing more, without a disconnect. The [write stall](Gateway::write_stall)
    /// is 20 milliseconds.
    pub fn stop_reading(mut self) -> Self {
        self.faults.read_mode = ReadMode::Stalled;
        self
    }

    /// Makes the client disconnect after the head and this many bytes of the body. The application is at most one chunk
    /// ahead.
    pub fn disconnect_after(mut self, bytes: usize) -> Self {
        self.faults.read_mode = ReadMode::DisconnectAfter(bytes);
        self
    }

    /// Makes the executor refuse the request.
    pub fn queue_full(mut self) -> Self {
        self.faults.queue_full = true;
        self
    }

    /// Sends the request, and waits for the response, or the part of it that the client reads. With a client that is
    /// slow, stalled or disconnects, the application runs on a thread of its own, and has ended when this returns.
    pub fn send(self) -> Response {
        let Self { gateway, request, faults } = self;
        let (mut gateway, threads) = faults.apply(&gateway);
        let failure = Arc::new(OnceLock::new());
        gateway.settings_mut().failure = Some(Arc::clone(&failure));
        let read_mode = faults.read_mode;
        let request = request.map(|bytes| Frames::new(bytes, &faults));
        let mut response = if gateway.mount().executor().is_inline() {
            block_on(exchange(gateway, request, read_mode, None))
        } else {
            on_runtime(|| exchange(gateway, request, read_mode, threads))
        };
        response.failure = failure.get().cloned();
        response
    }

    /// The request for [`with_request`](crate::testing::with_request).
    pub(crate) fn into_parts(self) -> (Arc<Mount>, http::request::Parts, Frames) {
        let (parts, body) = self.request.into_parts();
        (Arc::clone(self.gateway.mount()), parts, Frames::new(body, &self.faults))
    }
}

async fn exchange(
    mut gateway: Gateway,
    request: http::Request<Frames>,
    read_mode: ReadMode,
    threads: Option<ThreadPerJob>,
) -> Response {
    let (head, body) = gateway.call(request).await.unwrap_or_else(|never| match never {}).into_parts();
    let mut response =
        Response { head, chunks: Vec::new(), trailers: None, outcome: Outcome::Disconnected, failure: None };
    if read_mode == ReadMode::Stalled {
        join(threads.as_ref()).await;
    }
    response.read(body, read_mode).await;
    join(threads.as_ref()).await;
    response
}

/// Waits for the application without blocking the runtime.
async fn join(threads: Option<&ThreadPerJob>) {
    if let Some(threads) = threads.cloned() {
        // Joining does not panic.
        let _ = tokio::task::spawn_blocking(move || threads.join()).await;
    }
}

/// A received response. Created by [`Request::send`].
///
/// # Example
///
/// ```
/// use gateway::testing::{Client, Outcome};
/// # let app = gateway::application_fn(|_, start_response| {
/// #     start_response("200 OK", &[("Content-Type", "text/plain")])?;
/// #     Ok(gateway::Chunks::new(["one, ", "two"]))
/// # });
///
/// let response = Client::new(app).get("/");
/// assert_eq!((response.status().as_u16(), response.outcome()), (200, Outcome::Complete));
/// assert_eq!(response.headers()["content-type"], "text/plain");
/// assert_eq!(response.chunks(), ["one, ", "two"]);
/// ```
#[derive(Debug)]
pub struct Response {
    head: http::response::Parts,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    outcome: Outcome,
    failure: Option<String>,
}

/// How a response ended for its client.
///
/// Differs from the `outcome` of the access record: a complete 500 is `Complete` here, and `error` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client received all of it.
    Complete,
    /// The message is incomplete: the application failed after its first byte, or the write stall expired.
    Aborted,
    /// The client disconnected, as the test requested.
    Disconnected,
}

impl Response {
    /// Reads the body as `read_mode` does.
    async fn read(&mut self, mut body: crate::Body, read_mode: ReadMode) {
        let mut total = 0;
        self.outcome = loop {
            if matches!(read_mode, ReadMode::DisconnectAfter(after) if total >= after) {
                break Outcome::Disconnected;
            }
            match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        total += bytes.len();
                        self.chunks.push(bytes);
                    }
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
                Some(Err(_)) => break Outcome::Aborted,
                None => break Outcome::Complete,
            }
        };
    }

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

    /// The failure of the application, as in the log: the error and its causes. `None` if it did not fail, or was not
    /// called.
    ///
    /// Clients do not receive it; the `Debug` output of the response has it.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The received chunks of the body, complete or not.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The trailer fields, if any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The body.
    ///
    /// # Panics
    ///
    /// Panics if the response is not complete; [`chunks`](Response::chunks) has the received part.
    pub fn bytes(&self) -> Vec<u8> {
        let (chunks, why) = (self.chunks.len(), self.failure().unwrap_or("the application did not fail"));
        assert_eq!(self.outcome, Outcome::Complete, "the response ended after {chunks} chunks: {why}");
        self.chunks.concat()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// Panics if the response is not complete, or is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap_or_else(|error| panic!("the response body is not UTF-8: {error}"))
    }
}

/// Runs a future that may need timers, tasks and blocking threads.
fn on_runtime<F: Future<Output: Send>>(future: impl FnOnce() -> F + Send) -> F::Output {
    // On a thread of its own: the caller's thread may belong to a runtime.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap_or_else(|error| panic!("the system refuses a runtime: {error}")).block_on(future())
    };
    let done = std::thread::scope(|scope| scope.spawn(run).join());
    done.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Runs a future on this thread. With [`Inline`] it never waits.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    /// Wakes by a channel, not by `unpark`: an application may park this thread and would take the token.
    struct Notify(mpsc::Sender<()>);
    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            // The receiver is dropped once the future is done.
            let _ = self.0.send(());
        }
    }
    let (sender, notified) = mpsc::channel();
    let waker = Waker::from(Arc::new(Notify(sender)));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // Cannot fail: `waker` keeps a sender. A wake between the poll and `recv` is kept by the channel.
        let _ = notified.recv();
    }
}
