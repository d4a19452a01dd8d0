//! Requests without a network.
//!
//! Threads: the test's; blocks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue};
use http_body::Body;
use tower_service::Service;

use crate::Gateway;
use crate::service::mount::Mount;
use crate::test_request::TestRequest;
use crate::testing::client::header;
use crate::testing::cookies::CookieJar;
use crate::testing::faults::{Faults, Frames, ReadMode, ThreadPerJob};
use crate::testing::multipart::MultipartForm;
use crate::testing::response::Response;
use crate::testing::router::RouterUnderTest;
use crate::testing::runtime::{block_on, on_runtime};

/// A request that is not sent yet. Created by [`Client::request`](super::Client::request).
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
    target: Target,
    request: http::Request<Bytes>,
    /// For names that the request does not have.
    defaults: HeaderMap,
    cookies: Option<CookieJar>,
    faults: Faults,
}

/// The receiver of requests.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Gateway(Gateway),
    Router(RouterUnderTest),
}

impl Request {
    pub(super) fn new(
        target: Target,
        request: http::Request<Bytes>,
        defaults: HeaderMap,
        cookies: Option<CookieJar>,
    ) -> Self {
        Self { target, request, defaults, cookies, faults: Faults::default() }
    }

    /// Adds a header. Keeps earlier ones of that name, except `Host`, which is replaced.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is not valid HTTP.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        if name == HOST {
            self.request.headers_mut().insert(name, value);
        } else {
            self.request.headers_mut().append(name, value);
        }
        self
    }

    /// Sets the body, and its `Content-Length`.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        *self.request.body_mut() = body;
        self
    }

    /// Sets the body to a value as JSON, and its `Content-Type`.
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be JSON, such as a map whose keys are no strings.
    #[cfg(feature = "json")]
    pub fn json<T: serde_core::Serialize + ?Sized>(self, value: &T) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_else(|error| panic!("the value cannot be JSON: {error}"));
        self.typed_body("application/json", body)
    }

    /// Sets the body to a value as a form, `name=value&…`, and its `Content-Type`. Takes a struct, or a list of pairs.
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be a form, such as a struct in a struct.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Form, Router, routing::post};
    /// use gateway::{Pool, testing::Client};
    ///
    /// fn sign(Form(fields): Form<Vec<(String, String)>>) -> String {
    ///     format!("{fields:?}")
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let client = Client::router(Router::new().route("/", post(pool.handler(sign))));
    /// let response = client.request("POST", "/").form(&[("name", "Ada & Bob")]).send();
    /// assert_eq!(response.text(), r#"[("name", "Ada & Bob")]"#);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "form")]
    pub fn form<T: serde_core::Serialize + ?Sized>(self, value: &T) -> Self {
        let body =
            serde_urlencoded::to_string(value).unwrap_or_else(|error| panic!("the value cannot be a form: {error}"));
        self.typed_body("application/x-www-form-urlencoded", body)
    }

    /// Sets the body to a form of several parts, and its `Content-Type`.
    pub fn multipart(self, form: MultipartForm) -> Self {
        let (content_type, body) = form.encode();
        self.typed_body(&content_type, body)
    }

    fn typed_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let (name, value) = header(CONTENT_TYPE.as_str(), content_type);
        self.request.headers_mut().insert(name, value);
        self.body(body)
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
    ///
    /// # Panics
    ///
    /// The request panics when it is sent if its body is shorter.
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
    ///
    /// # Panics
    ///
    /// The request panics when it is sent to a [router](super::Client::router), whose gateways have their own write
    /// stall.
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
    ///
    /// # Panics
    ///
    /// The request panics when it is sent to a [router](super::Client::router), whose gateways have their own
    /// executors: give them a pool with `queue(0)`.
    pub fn queue_full(mut self) -> Self {
        self.faults.queue_full = true;
        self
    }

    /// Sends the request, and waits for the response, or the part of it that the client reads. With a client that is
    /// slow, stalled or disconnects, the application runs on a thread of its own, and has ended when this returns. The
    /// gateways of a [router](super::Client::router) run their applications on their own pools.
    pub fn send(mut self) -> Response {
        self.faults.check_cut(self.request.body().len());
        self.add_defaults();
        let Self { target, mut request, cookies, faults, .. } = self;
        let mark = TestRequest::default();
        request.extensions_mut().insert(mark.clone());
        let path = request.uri().path().to_owned();
        let read_mode = faults.read_mode;
        let request = request.map(|bytes| Frames::new(bytes, &faults));
        let mut response = match target {
            Target::Gateway(gateway) => {
                let (gateway, threads) = faults.apply(&gateway);
                if gateway.mount().executor().is_inline() {
                    block_on(exchange(gateway, request, read_mode, None))
                } else {
                    on_runtime(|| exchange(gateway, request, read_mode, threads))
                }
            }
            Target::Router(under_test) => {
                faults.check_router();
                under_test.run(exchange(under_test.router().clone(), request, read_mode, None))
            }
        };
        response.failure = mark.failure();
        if let Some(cookies) = &cookies {
            cookies.store(&path, response.headers(), SystemTime::now());
        }
        response
    }

    /// Adds the headers of the client, and its cookies.
    fn add_defaults(&mut self) {
        let headers = self.request.headers_mut();
        for name in self.defaults.keys().filter(|name| !headers.contains_key(*name)).cloned().collect::<Vec<_>>() {
            for value in self.defaults.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let stored = self.cookies.as_ref().and_then(|jar| jar.header(self.request.uri().path(), SystemTime::now()));
        if let Some(stored) = stored {
            let headers = self.request.headers_mut();
            // One field, after the cookies of the request itself (RFC 6265 §5.4).
            let own = headers.get(COOKIE).map(|own| [own.as_bytes(), b"; "].concat()).unwrap_or_default();
            let all = HeaderValue::from_bytes(&[&own[..], stored.as_bytes()].concat());
            headers.insert(COOKIE, all.unwrap_or_else(|error| panic!("the cookies {stored:?} are not valid: {error}")));
        }
    }

    /// The request for [`with_request`](crate::testing::with_request).
    pub(super) fn into_parts(mut self) -> (Arc<Mount>, http::request::Parts, Frames) {
        self.faults.check_cut(self.request.body().len());
        self.add_defaults();
        let Target::Gateway(gateway) = &self.target else {
            panic!("a router has no one application: give `with_request` a request of `Client::new`");
        };
        let (parts, body) = self.request.into_parts();
        (Arc::clone(gateway.mount()), parts, Frames::new(body, &self.faults))
    }
}

async fn exchange<S, B>(
    mut service: S,
    request: http::Request<Frames>,
    read_mode: ReadMode,
    threads: Option<ThreadPerJob>,
) -> Response
where
    S: Service<http::Request<Frames>, Response = http::Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    let (head, body) = service.call(request).await.unwrap_or_else(|never| match never {}).into_parts();
    let mut response = Response::of(head);
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
