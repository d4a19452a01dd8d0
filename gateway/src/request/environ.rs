//! The request as the application sees it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Extensions, Method, Uri, Version};

use crate::pipe::Watch;
use crate::request::script_name::{self, Split};
use crate::request::{ErrorLog, Failure, Input, host, latin1, target, variables};
use crate::response::{Aborted, Message};
use crate::service::Mount;
use crate::sync::Arc;

/// One request, as CGI variables and as typed parts; WSGI's `environ`.
///
/// It is a view over [`http::request::Parts`]: a value is computed when it is asked for, and one that is plain ASCII, as
/// most are, is borrowed. Each request has an environ of its own, which the application may change at will.
///
/// # Variables
///
/// [`get`](Environ::get) knows these. Text is *native*: one character for one byte, U+0000 to U+00FF (PEP 3333, "Unicode
/// Issues").
///
/// | variable | value |
/// |---|---|
/// | `REQUEST_METHOD` | the method as received |
/// | `SCRIPT_NAME` | the decoded part of the path that routing consumed; `""` or `/…`, never `/` alone |
/// | `PATH_INFO` | the decoded rest of the path |
/// | `QUERY_STRING` | what follows the first `?`, not decoded; `""` if nothing does |
/// | `CONTENT_TYPE`, `CONTENT_LENGTH` | the headers; absent if the client sent none, or a chunked body |
/// | `SERVER_NAME`, `SERVER_PORT` | as configured, else from the request's host; never empty |
/// | `SERVER_PROTOCOL` | `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0` |
/// | `SERVER_SOFTWARE`, `GATEWAY_INTERFACE` | this crate and its version; `CGI/1.1` |
/// | `REMOTE_ADDR`, `REMOTE_PORT` | the peer, if the server tells (axum's [`ConnectInfo`]); never made up |
/// | `REQUEST_URI`, `RAW_URI` | the request target as received: not decoded, prefix and query included |
/// | `HTTP_…` | the header of that name: `HTTP_ACCEPT_LANGUAGE` is `Accept-Language` |
/// | `wsgi.url_scheme` | `http` or `https`, as configured |
/// | own keys | what [`insert`](Environ::insert) put there |
///
/// Of the headers, these never appear as `HTTP_…`: names with an underscore, which could pass for another; `Proxy`;
/// `Transfer-Encoding`, because bodies arrive decoded. Repeated fields are joined by `,`, cookies by `; `. Nothing of the
/// process environment is in here.
///
/// # Example
///
/// ```
/// use gateway::{Environ, StartResponse, wsgi_app};
///
/// #[wsgi_app]
/// fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
///     Ok([format!("{} asks for {}\n", environ.get("HTTP_USER_AGENT").unwrap_or("somebody"), environ.path_info())])
/// }
/// # let response = gateway::testing::Client::new(hello).request("GET", "/a%20b").header("user-agent", "curl").send();
/// # assert_eq!(response.text(), "curl asks for /a b\n");
/// ```
///
/// # Threads
///
/// Built on the runtime, then owned by the request's pool thread; dropped there.
pub struct Environ {
    parts: Parts,
    mount: Arc<Mount>,
    input: Input,
    /// The application's own keys, newest last; `None` hides a key.
    own: Vec<(String, Option<String>)>,
    computed: Computed,
    client: Watch<Message, Aborted>,
}

/// Values that had to be put together, kept so that [`Environ::get`] can lend them.
#[derive(Default)]
struct Computed {
    script_name: OnceCell<String>,
    path_info: OnceCell<String>,
    query: OnceCell<String>,
    request_uri: OnceCell<String>,
    content_type: OnceCell<String>,
    host: OnceCell<String>,
    server_name: OnceCell<String>,
    server_port: OnceCell<String>,
    remote_addr: OnceCell<String>,
    remote_port: OnceCell<String>,
    /// One slot for each header name, in the order of the map.
    headers: OnceCell<Box<[OnceCell<String>]>>,
}

/// The variables that do not come from headers, in the order of [`Environ::iter`].
const VARIABLES: [&str; 16] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "GATEWAY_INTERFACE",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REQUEST_URI",
    "RAW_URI",
    "wsgi.url_scheme",
];

impl Environ {
    pub(crate) fn new(parts: Parts, mount: Arc<Mount>, input: Input, client: Watch<Message, Aborted>) -> Self {
        Self { parts, mount, input, own: Vec::new(), computed: Computed::default(), client }
    }

    /// The value of a variable; `None` if the request has no such thing. Keys are case-sensitive.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some((_, value)) = self.own.iter().rev().find(|(own, _)| own == key) {
            return value.as_deref();
        }
        match key {
            "REQUEST_METHOD" => Some(self.parts.method.as_str()),
            "SCRIPT_NAME" => Some(self.script_name()),
            "PATH_INFO" => Some(self.path_info()),
            "QUERY_STRING" => Some(self.query()),
            "CONTENT_TYPE" => self.content_type(),
            "CONTENT_LENGTH" => {
                self.content_length()?;
                self.parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()
            }
            "SERVER_NAME" => Some(self.server_name()),
            "SERVER_PORT" => Some(self.server_port()),
            "SERVER_PROTOCOL" => Some(match self.parts.version {
                Version::HTTP_09 => "HTTP/0.9",
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                Version::HTTP_3 => "HTTP/3.0",
                _ => "HTTP/1.1",
            }),
            "SERVER_SOFTWARE" => Some(concat!("gateway/", env!("CARGO_PKG_VERSION"))),
            "GATEWAY_INTERFACE" => Some("CGI/1.1"),
            "REMOTE_ADDR" => {
                let peer = self.remote_addr()?;
                Some(self.computed.remote_addr.get_or_init(|| peer.ip().to_string()))
            }
            "REMOTE_PORT" => {
                let peer = self.remote_addr()?;
                Some(self.computed.remote_port.get_or_init(|| peer.port().to_string()))
            }
            "REQUEST_URI" | "RAW_URI" => Some(self.request_uri()),
            "wsgi.url_scheme" => Some(self.url_scheme()),
            "HTTP_HOST" => self.host(),
            _ => self.header(key.strip_prefix("HTTP_")?),
        }
    }

    /// Sets a variable for this request: for middleware that has something to tell the application.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.set(key.into(), Some(value.into()));
    }

    /// Hides a variable for the rest of this request.
    pub fn remove(&mut self, key: impl Into<String>) {
        self.set(key.into(), None);
    }

    fn set(&mut self, key: String, value: Option<String>) {
        self.own.retain(|(own, _)| *own != key);
        self.own.push((key, value));
    }

    /// All variables that are present, each once: the fixed ones, the headers, the own keys.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let fixed = VARIABLES.into_iter().map(Cow::Borrowed);
        // The host may come from the target alone, as it does on HTTP/2.
        let host = self.host().filter(|_| !self.parts.headers.contains_key(header::HOST)).map(|_| "HTTP_HOST".into());
        let headers = self.parts.headers.keys().filter_map(variables::key).map(Cow::Owned);
        let own = self.own.iter().map(|(key, _)| Cow::Borrowed(key.as_str()));
        fixed
            .chain(host)
            .chain(headers)
            .filter(|key| !self.own.iter().any(|(own, _)| own == key))
            .chain(own)
            .filter_map(|key| Some((self.get(&key)?, key)))
            .map(|(value, key)| (key, value))
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// `SCRIPT_NAME`: the decoded part of the path that routing consumed.
    pub fn script_name(&self) -> &str {
        latin1::lend_decoded(self.split().script, &self.computed.script_name)
    }

    /// `PATH_INFO`: the decoded rest of the path.
    pub fn path_info(&self) -> &str {
        match self.split().info {
            // `OPTIONS *` asks about the server, not about a path.
            "*" => "",
            info => latin1::lend_decoded(info, &self.computed.path_info),
        }
    }

    /// `QUERY_STRING`: what follows the first `?`, not decoded.
    pub fn query(&self) -> &str {
        latin1::lend(self.parts.uri.query().unwrap_or_default().as_bytes(), &self.computed.query)
    }

    /// `CONTENT_TYPE`, if the client sent one.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.parts.headers.get(header::CONTENT_TYPE)?;
        Some(latin1::lend(value.as_bytes().trim_ascii(), &self.computed.content_type))
    }

    /// `CONTENT_LENGTH`, in bytes, if the client declared one. Absent for chunked bodies.
    pub fn content_length(&self) -> Option<u64> {
        variables::declared_length(&self.parts.headers)
    }

    /// The headers, as they came.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The request's HTTP version.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The target, without the prefix that routing consumed.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The peer, if the server tells: serve the router with axum's `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.parts.extensions.get().map(|&ConnectInfo(peer)| peer)
    }

    /// `wsgi.url_scheme`: `http` or `https`.
    pub fn url_scheme(&self) -> &'static str {
        if self.mount.settings().https { "https" } else { "http" }
    }

    /// `wsgi.version`.
    pub fn wsgi_version(&self) -> (u8, u8) {
        (1, 0)
    }

    /// `wsgi.multithread`: whether the application may be called by several threads at once.
    pub fn multithread(&self) -> bool {
        self.mount.executor().is_concurrent()
    }

    /// `wsgi.multiprocess`: whether other processes may call an equal application. The gateway knows of none.
    pub fn multiprocess(&self) -> bool {
        false
    }

    /// `wsgi.run_once`: whether the application is only ever called once. It is not.
    pub fn run_once(&self) -> bool {
        false
    }

    /// `wsgi.input_terminated`: whether [`input`](Environ::input) ends by itself, so that it can be read without a length. It does.
    pub fn input_terminated(&self) -> bool {
        true
    }

    /// The request's extensions: what layers in front, such as `axum::Extension`, have left for the application.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }

    /// The request's extensions, to change: the way for middleware to hand on values that are not text.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.parts.extensions
    }

    /// `wsgi.input`: the request body.
    pub fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// The request body, to own: for reading it while the environ is borrowed. Leaves an empty one.
    pub fn take_input(&mut self) -> Input {
        std::mem::replace(&mut self.input, Input::empty())
    }

    /// The request in the types of the `http` crate, with its body and its extensions, which the environ no longer has.
    pub fn take_request(&mut self) -> http::Request<Input> {
        let extensions = std::mem::take(&mut self.parts.extensions);
        let mut parts = self.parts.clone();
        parts.extensions = extensions;
        http::Request::from_parts(parts, self.take_input())
    }

    /// `wsgi.errors`: text for the operator.
    pub fn errors(&self) -> ErrorLog {
        ErrorLog::current()
    }

    /// Whether the client has gone, or has all it is going to get. Asking is cheap; for long work between two writes.
    ///
    /// A server notices a client that leaves while nothing is sent to it, as long as it has read all of the request.
    pub fn client_disconnected(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits until [`client_disconnected`](Environ::client_disconnected) is true, but not longer than this. Says whether it is.
    pub fn wait_for_disconnect(&self, timeout: Duration) -> bool {
        self.client.wait_closed(timeout)
    }

    /// Why the request body cannot be read, if the application has been told.
    pub(crate) fn input_failure(&self) -> Option<Failure> {
        self.input.failure()
    }

    /// The path the client asked for, for the log.
    pub(crate) fn original_path(&self) -> &str {
        target::original(&self.parts).path()
    }

    fn split(&self) -> Split<'_> {
        script_name::split(&self.parts)
    }

    fn request_uri(&self) -> &str {
        match target::written(&self.parts) {
            Cow::Borrowed(target) => latin1::lend(target.as_bytes(), &self.computed.request_uri),
            Cow::Owned(target) => {
                self.computed.request_uri.get_or_init(|| latin1::decode(target.as_bytes()).into_owned())
            }
        }
    }

    /// `HTTP_HOST`.
    fn host(&self) -> Option<&str> {
        host::in_target(&self.parts.uri).or_else(|| {
            let value = self.parts.headers.get(header::HOST)?;
            Some(latin1::lend(value.as_bytes().trim_ascii(), &self.computed.host))
        })
    }

    fn server_name(&self) -> &str {
        self.computed.server_name.get_or_init(|| {
            match (&self.mount.settings().server_name, host::split(self.host().unwrap_or_default()).0) {
                (Some(configured), _) => configured.clone(),
                (None, "") => "localhost".to_owned(),
                (None, host) => host.to_owned(),
            }
        })
    }

    fn server_port(&self) -> &str {
        self.computed.server_port.get_or_init(|| {
            match (self.mount.settings().server_port, host::split(self.host().unwrap_or_default()).1) {
                (Some(configured), _) => configured.to_string(),
                (None, port) if port.parse::<u16>().is_ok() => port.to_owned(),
                (None, _) if self.mount.settings().https => "443".to_owned(),
                (None, _) => "80".to_owned(),
            }
        })
    }

    /// The header behind `HTTP_` and `key`.
    fn header(&self, key: &str) -> Option<&str> {
        let headers = &self.parts.headers;
        let name = variables::header_name(key)?;
        match variables::value(headers, &name)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(value) => {
                let slots = self
                    .computed
                    .headers
                    .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(headers.keys_len()).collect());
                let slot = headers.keys().position(|known| *known == name)?;
                Some(slots.get(slot)?.get_or_init(|| value))
            }
        }
    }
}

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environ")
            .field("method", &self.parts.method)
            .field("script_name", &self.script_name())
            .field("path_info", &self.path_info())
            .finish_non_exhaustive()
    }
}
