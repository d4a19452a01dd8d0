//! A client without a network.
//!
//! Threads: the test's; blocks.

use std::time::SystemTime;

use axum::Router;
use bytes::Bytes;
use http::Uri;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};

use crate::testing::cookies::CookieJar;
use crate::testing::request::{Request, Target};
use crate::testing::router::RouterUnderTest;
use crate::testing::{Inline, Response};
use crate::{Application, Gateway};

/// Sends requests to an application or to a router, through the real adapter.
///
/// See the [module](crate::testing) for an example. Clones share the cookies.
///
/// # Panics
///
/// Panics on a target or a header that is not valid, and when an incomplete body is read as a whole. The messages name
/// the value.
#[derive(Clone, Debug)]
pub struct Client {
    target: Target,
    headers: HeaderMap,
    cookies: Option<CookieJar>,
}

impl Client {
    /// A client for `application`, with the settings of [`Gateway::new`].
    pub fn new(application: impl Application) -> Self {
        Self::of(Gateway::new(application).executor(Inline::new()))
    }

    /// A client for a gateway with its own settings and executor.
    pub fn of(gateway: Gateway) -> Self {
        Self::with(Target::Gateway(gateway))
    }

    /// A client for a router: its routes, layers, state and handlers, such as those of
    /// [`Pool::handler`](crate::Pool::handler).
    ///
    /// The router runs on a runtime of the client, which ends with its last clone. The gateways in the router keep
    /// their own pools, so that an application may still run when [`send`](Request::send) returns.
    ///
    /// A client of a router blocks its thread: call it from a plain `#[test]`, not from a test that is a task of a
    /// runtime.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses a thread for the runtime. A panic of an async handler, which would cost a server
    /// the connection, goes on in the test.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, extract::{Path, State}, http::StatusCode, routing::get};
    /// use gateway::{Pool, testing::Client};
    ///
    /// fn read(State(names): State<Vec<String>>, Path(id): Path<usize>) -> Result<String, StatusCode> {
    ///     names.get(id).cloned().ok_or(StatusCode::NOT_FOUND)
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let app = Router::new().route("/names/{id}", get(pool.handler(read))).with_state(vec!["Ada".to_owned()]);
    /// let client = Client::router(app);
    /// assert_eq!(client.get("/names/0").text(), "Ada");
    /// assert_eq!(client.get("/names/1").status(), 404);
    /// assert_eq!(client.post("/names/0", "Bob").status(), 405);
    /// # Ok(())
    /// # }
    /// ```
    pub fn router(router: Router) -> Self {
        Self::with(Target::Router(RouterUnderTest::new(router)))
    }

    fn with(target: Target) -> Self {
        Self { target, headers: HeaderMap::new(), cookies: None }
    }

    /// Adds a header to all requests, except those that have one of this name.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is not valid HTTP.
    pub fn default_header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        self.headers.append(name, value);
        self
    }

    /// Keeps the cookies of responses, in an empty jar, and sends them with later requests, as a browser does: by their
    /// `Path`, until `Max-Age` or `Expires`. `Domain`, `Secure` and `SameSite` have no effect: all requests are to one
    /// host.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::http::HeaderMap;
    /// use axum::{Router, routing::get};
    /// use gateway::{Pool, testing::Client};
    ///
    /// fn login() -> ([(&'static str, &'static str); 1], &'static str) {
    ///     ([("set-cookie", "session=42; Path=/; HttpOnly")], "welcome")
    /// }
    ///
    /// fn greet(headers: HeaderMap) -> String {
    ///     format!("{:?}", headers.get("cookie"))
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let app = Router::new().route("/login", get(pool.handler(login))).route("/", get(pool.handler(greet)));
    /// let client = Client::router(app).with_cookies();
    /// assert_eq!(client.get("/").text(), "None");
    /// client.get("/login");
    /// assert_eq!(client.get("/").text(), "Some(\"session=42\")");
    /// assert_eq!(client.cookie("session").as_deref(), Some("42"));
    /// // Another visitor.
    /// assert_eq!(client.clone().with_cookies().get("/").text(), "None");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_cookies(mut self) -> Self {
        self.cookies = Some(CookieJar::default());
        self
    }

    /// The value of a cookie. `None` without [`with_cookies`](Self::with_cookies).
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.as_ref()?.value(name, SystemTime::now())
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
        let host = self.headers.get(HOST).cloned().unwrap_or(HeaderValue::from_static("test.local"));
        request.headers_mut().insert(HOST, host);
        Request::new(self.target.clone(), request, self.headers.clone(), self.cookies.clone())
    }
}

/// A header field.
pub(super) fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    let valid_name = HeaderName::from_bytes(name.as_bytes())
        .unwrap_or_else(|error| panic!("the header name {name:?} is not valid: {error}"));
    let valid_value = HeaderValue::from_bytes(value.as_bytes())
        .unwrap_or_else(|error| panic!("the value {value:?} of header {name:?} is not valid: {error}"));
    (valid_name, valid_value)
}
