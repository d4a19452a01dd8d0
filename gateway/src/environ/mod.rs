//! The request, as the application sees it.
//!
//! Threads: built on the runtime, then the application's; `wait` and the input block.

mod cgi;
mod extract;
pub(crate) mod error_log;
pub(crate) mod forwarded;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod id;
pub(crate) mod local;
pub(crate) mod lookup;
pub(crate) mod mounted;
mod script_name;
pub(crate) mod span;
pub(crate) mod target;
pub(crate) mod tls;
#[macro_use]
pub(crate) mod variables;
pub(crate) mod wait;
mod wsgi;

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::ConnectInfo;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Extensions, Method, Uri, Version};

use self::cgi::Computed;
use crate::body::input::Input;
use crate::body::source::{BodyFailure, Piece};
use crate::declared_length::parse_text;
use crate::environ::error_log::ErrorLog;
use crate::environ::id::RequestId;
use crate::environ::mounted::Mounted;
use crate::environ::span::{LogNames, Routing, error_span};
use crate::log::{self, Span};
#[cfg(feature = "python")]
use crate::observe::line_sink::LineSink;
use crate::pipe::Watch;
use crate::response::message::ResponseWatch;
use crate::response::request_end::RequestEnd;
use crate::settings::Settings;
use crate::{Forwarded, LocalAddr};

/// One request, as CGI variables and as typed parts; WSGI's `environ`.
///
/// A view over [`http::request::Parts`]: `get` computes a value on demand, and borrows a value that is plain ASCII, as
/// most are. Each request has its own environ, which the application may change.
///
/// # Variables
///
/// [`get`](Environ::get) knows these. Text is *native*: one character for one byte, U+0000 to U+00FF (PEP 3333,
/// "Unicode Issues"), so that `/café` is `/cafÃ©`. [`path`](Environ::path) returns it as UTF-8.
///
/// | variable | value |
/// |---|---|
#[doc = concat!(documented_variables!(), "| `HTTP_…` | the header of that name: `HTTP_ACCEPT_LANGUAGE` is `Accept-Language` |")]
/// | `SSL_…` | the server's facts about its [`Tls`](crate::Tls) connection |
/// | the mount's own | set by [`Gateway::variable`](crate::Gateway::variable) |
/// | own keys | set by [`insert`](Environ::insert) |
///
/// These headers never appear as `HTTP_…`: names with an underscore, which could pass for another; `Proxy`;
/// `Transfer-Encoding`, because bodies arrive decoded; `Upgrade`, because no application can take over the connection.
/// Repeated fields are joined by `,`, cookies by `; `. The environ contains nothing of the process environment.
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
/// Built on the runtime, then owned by the request's pool thread. If the application was called, everything in the
/// environ that may have a destructor is dropped on that thread.
pub struct Environ {
    parts: Parts,
    mount: Arc<dyn Mounted>,
    id: RequestId,
    span: Span,
    input: Input,
    /// The number of bytes of the encoded path moved from `PATH_INFO` to `SCRIPT_NAME`.
    shifted: usize,
    /// The application's own keys; `None` hides a key.
    own: Vec<(String, Option<String>)>,
    computed: OnceCell<Box<Computed>>,
    end: RequestEnd,
    /// A handle on the request body, which stays valid when the application moves the body. `None` while the body is
    /// complete and in `input`.
    upload: Option<Watch<Piece, BodyFailure>>,
    /// The cell from which an input that a handler owns reads the deadline.
    input_deadline: Option<Arc<OnceLock<Instant>>>,
    /// The application has asked whether the client has disconnected, and the answer was yes.
    observed_disconnect: Cell<bool>,
    deadline: Option<Instant>,
    /// The route of a handler's request, for the log. `None` if the extensions or the span have the route.
    routing: Option<Routing>,
}

impl Environ {
    /// The environ of a request whose body is [set](Environ::set_input) later.
    pub(crate) fn new(parts: Parts, id: RequestId, span: Span, mount: Arc<dyn Mounted>, client: ResponseWatch) -> Self {
        Self {
            parts,
            mount,
            id,
            span,
            input: Input::empty(),
            shifted: 0,
            own: Vec::new(),
            computed: OnceCell::new(),
            end: RequestEnd::new(client),
            upload: None,
            input_deadline: None,
            observed_disconnect: Cell::new(false),
            deadline: None,
            routing: None,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.mount.settings()
    }

    pub(crate) fn set_input(&mut self, input: Input) {
        self.upload = input.watch();
        self.input = input;
    }

    /// Sets what the log says about a handler's request.
    pub(crate) fn set_routing(&mut self, routing: Routing) {
        self.routing = Some(routing);
    }

    /// Watches an input that a handler owns, and that reads its deadline from `deadline`.
    pub(crate) fn watch_input(&mut self, input: Watch<Piece, BodyFailure>, deadline: Arc<OnceLock<Instant>>) {
        self.upload = Some(input);
        self.input_deadline = Some(deadline);
    }

    /// The gateway's handle on a body that is not complete yet.
    pub(crate) fn upload(&self) -> Option<Watch<Piece, BodyFailure>> {
        self.upload.clone()
    }

    /// Whether the body is not complete yet, so that a read may wait for it.
    pub(crate) fn waits_for_body(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !upload.is_complete())
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        self.input.end_at(deadline);
        if let Some(shared) = &self.input_deadline {
            shared.get_or_init(|| deadline);
        }
    }

    /// Sets the length of the body in the headers.
    pub(crate) fn declare_length(&mut self, length: u64) {
        headers::declare_length(&mut self.parts.headers, length);
    }

    /// Sets a variable for this request, for example by middleware. The accessors `script_name`, `path_info`, `query`,
    /// `content_type` and `content_length` follow it; the others give the request as received.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.set(key.into(), Some(value.into()));
    }

    /// Hides a variable for the rest of this request.
    pub fn remove(&mut self, key: impl Into<String>) {
        self.set(key.into(), None);
    }

    /// The application's change to a key, if any.
    #[expect(clippy::option_option, reason = "a key may be untouched, hidden or set")]
    fn own(&self, key: &str) -> Option<Option<&str>> {
        self.own.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_deref())
    }

    /// The keys that the application has hidden.
    #[cfg(feature = "python")]
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.own.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str())
    }

    fn set(&mut self, key: String, value: Option<String>) {
        self.own.retain(|(own, _)| *own != key);
        self.own.push((key, value));
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// `SCRIPT_NAME`: the decoded part of the path that routing consumed.
    pub fn script_name(&self) -> &str {
        self.get("SCRIPT_NAME").unwrap_or_default()
    }

    /// `PATH_INFO`: the decoded rest of the path, as native text: `/café` is `/cafÃ©` here, and UTF-8 in
    /// [`path`](Environ::path).
    pub fn path_info(&self) -> &str {
        self.get("PATH_INFO").unwrap_or_default()
    }

    /// `QUERY_STRING`: the part after the first `?`, not decoded.
    pub fn query(&self) -> &str {
        self.get("QUERY_STRING").unwrap_or_default()
    }

    /// `CONTENT_TYPE`, if the client sent one.
    pub fn content_type(&self) -> Option<&str> {
        self.get("CONTENT_TYPE")
    }

    /// `CONTENT_LENGTH`, in bytes, if the client declared one. Absent for chunked bodies.
    pub fn content_length(&self) -> Option<u64> {
        parse_text(self.get("CONTENT_LENGTH")?)
    }

    /// The headers, as received.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The request's HTTP version.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The target, without the prefix that routers removed; [`shift_path_info`](Environ::shift_path_info) keeps it.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// `REMOTE_ADDR` as an address: that of the client, if [trusted proxies](crate::TrustedProxies) report it, else the
    /// peer's.
    pub fn remote_ip(&self) -> Option<IpAddr> {
        let client = self.forwarded().and_then(|forwarded| forwarded.client);
        client.map(|client| client.to_canonical()).or_else(|| Some(self.remote_addr()?.ip()))
    }

    /// The peer, if the server reports it: [`serve`](crate::serve()) does, and axum's own with
    /// `into_make_service_with_connect_info::<SocketAddr>()`. On a Unix socket there is none. A peer that connected
    /// over IPv4 has an IPv4 address, whatever the listener is bound to.
    ///
    /// The first time that a mount asks for a missing peer, here or as `REMOTE_ADDR`, a warning says how to serve
    /// instead; except for requests with [`LocalAddr::Unix`] and those of [`testing::Client`](crate::testing::Client).
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        let peer = self.parts.extensions.get().map(|&ConnectInfo(peer)| local::canonical(peer));
        if peer.is_none() && LocalAddr::implies_peer(&self.parts.extensions) {
            let settings = self.mount.settings();
            settings.no_peer.no_peer(&settings.name);
        }
        peer
    }

    /// The address that the peer connected to, if the server reports it: [`serve`](crate::serve()) does. On a Unix
    /// socket there is none. Its family is the one the peer used, as in [`remote_addr`](Self::remote_addr).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        LocalAddr::of(&self.parts.extensions)
    }

    /// `wsgi.url_scheme`: `http` or `https`.
    pub fn url_scheme(&self) -> &'static str {
        let reported = self.forwarded().and_then(|forwarded| forwarded.https);
        let is_https = reported.unwrap_or_else(|| self.mount.settings().https || self.tls().is_some());
        if is_https { "https" } else { "http" }
    }

    /// The request's extensions, as set by outer layers such as `axum::Extension`.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }

    /// The request's extensions, mutable: middleware uses them to pass on values that are not text.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        // Some variables come from the extensions, and have to be computed again.
        self.computed = OnceCell::new();
        &mut self.parts.extensions
    }

    /// `wsgi.input`: the request body.
    pub fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// Takes the request body, to read it while the environ is borrowed. Leaves an empty body.
    pub fn take_input(&mut self) -> Input {
        if self.upload.is_none() {
            self.upload = self.input.hold();
        }
        std::mem::replace(&mut self.input, Input::empty())
    }

    /// The request in the types of the `http` crate, with its body, which is taken out of the environ. Its URI lacks
    /// the prefix that routers or [`shift_path_info`](Environ::shift_path_info) removed.
    pub fn take_request(&mut self) -> http::Request<Input> {
        let mut parts = self.parts.clone();
        if self.shifted > 0
            && let Some(uri) = target::with_path(&parts.uri, self.split().1)
        {
            parts.uri = uri;
        }
        http::Request::from_parts(parts, self.take_input())
    }

    /// `wsgi.errors`: text for the operator.
    pub fn errors(&self) -> ErrorLog {
        ErrorLog::new(self.error_span(), self.mount.settings().error_log.clone())
    }

    /// The id of the request.
    #[cfg(feature = "python")]
    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    /// The mount's own log, used instead of `tracing`.
    #[cfg(feature = "python")]
    pub(crate) fn error_sink(&self) -> Option<LineSink> {
        self.mount.settings().error_log.clone()
    }

    /// When the response has to be complete, if the mount has a [deadline](crate::Gateway::deadline): use it for
    /// timeouts of outgoing calls. After it, reads and writes fail, and the client counts as gone.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The span of the request; disabled if no subscriber takes the info level.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The span for failures.
    pub(crate) fn error_span(&self) -> Span {
        if !self.span.is_disabled() {
            return self.span.clone();
        }
        let names =
            self.routing.as_ref().map_or_else(|| LogNames::of(&self.parts), |routing| routing.names(&self.parts));
        error_span(&names, &self.id)
    }

    fn forwarded(&self) -> Option<&Forwarded> {
        self.parts.extensions.get()
    }

    /// Why the request body cannot be read, if the application has observed it.
    pub(crate) fn observed_failure(&self) -> Option<BodyFailure> {
        self.upload.as_ref().and_then(Watch::observed)
    }

    /// Whether the application has asked whether the client has disconnected, and the answer was yes.
    pub(crate) fn has_observed_disconnect(&self) -> bool {
        self.observed_disconnect.get()
    }

    /// Drops every part that may have a destructor, one by one; a panic is caught. The rest may be dropped on any
    /// thread.
    pub(crate) fn drop_contents(&mut self) {
        log::panic_of!(self.parts.extensions.clear(), "the environ of a request panicked when it was dropped");
        let input = std::mem::replace(&mut self.input, Input::empty());
        log::panic_of!(drop(input), "the input of a request panicked when it was dropped");
        self.upload = None;
    }

    /// Ends the request body, even if the application has moved it.
    pub(crate) fn end_input(&self) {
        if let Some(upload) = &self.upload {
            upload.abandon(BodyFailure::Disconnected);
        }
    }
}

partial_debug!(
    Environ,
    |this| method: this.parts.method, script_name: this.script_name(), path_info: this.path_info()
);
