//! The settings and counters of a shadow.
//!
//! Threads: any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, Method, header};
use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::shadowed::Shadowed;

/// A layer that also sends some of a service's requests to a second service, and logs differences between the
/// responses.
///
/// The service inside the layer is the primary: clients get only its responses, at its pace. When a response is
/// complete, or its compared part was sent, a task of its own sends a copy of the request to the shadow, compares and
/// counts the shadow's response, and drops it. A shadow that is slow, fails, panics or never responds costs clients
/// nothing but shared resources: give a shadow that is a [`Gateway`](crate::Gateway) its own pool, or [a
/// share](crate::Pool::share). A shadow without room answers 503, which is logged as a difference.
///
/// # Which requests are sent
///
/// Every [n-th](Self::every) request of those that are
///
/// * of a safe method, GET or HEAD, unless [others](Self::methods) are named: **the shadow really runs**, so its side
///   effects, such as storing an order, happen twice;
/// * without a body, unless [`request_bodies`](Self::request_bodies) sets a size limit;
/// * not an upgrade to another protocol.
///
/// A selected request is skipped if [too many](Self::in_flight) are in flight, if the client disconnected before it had
/// its response, if that response was incomplete, or if the primary did not read the request body to its end.
///
/// # What is compared
///
/// * The status.
/// * Each header field, with all its values in order, except those in which two correct responses may differ: `Age`,
///   `Connection`, `Content-Length`, `Date`, `Keep-Alive`, `Server`, `Transfer-Encoding` and `Via`.
///   [`ignore_header`](Self::ignore_header) adds others.
/// * The body, up to [`body_limit`](Self::body_limit) bytes. The shadow's body is not read beyond that; a shadow that
///   is a gateway observes a disconnect.
///
/// Each difference is an event of its own, a warning with the target `gateway::shadow` and the fields `method` and
/// `path`, and `request_id` if the request has a [`RequestId`](crate::RequestId):
///
/// | message | more fields |
/// |---|---|
/// | `the status differs` | `primary`, `shadow` |
/// | `a header differs` | `header`; `primary`, `shadow`: its values |
/// | `the body differs` | `offset` of the first different byte; `compared`, the number of compared bytes of the primary's body |
/// | `the shadow failed` | `error`: of the service or its body, a panic, or a timeout |
///
/// Bodies and queries are not logged, nor the values of `Set-Cookie` and of fields marked as sensitive.
///
/// # Memory
///
/// At most [`in_flight`](Self::in_flight) requests are held, each with its head, its body up to `request_bodies`, and
/// the head and body of the response up to `body_limit`: 4 MiB of bodies with the defaults.
///
/// Clones share their counters and permits. Change settings before the first request only.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use gateway::Gateway;
/// use gateway::migration::Shadow;
/// use tower_layer::Layer as _;
///
/// # fn old() -> Gateway {
/// #     Gateway::new(gateway::application_fn(|_, _| Ok(gateway::Chunks::empty())))
/// # }
/// async fn prices() -> &'static str {
///     "apples 3\n"
/// }
///
/// // Before the change: the old application answers, and one request in a hundred is also sent to the new route.
/// let shadow = Shadow::new(get(prices)).every(100).ignore_header(http::header::SET_COOKIE);
/// let app: Router = Router::new().route_service("/prices", shadow.clone().layer(old()));
/// assert_eq!(shadow.counts().differing, 0);
///
/// // After it: the new route answers, and the old application is still compared.
/// let app_later: Router = Router::new().route("/prices", get(prices).layer(Shadow::new(old()).every(100)));
/// # drop((app, app_later));
/// ```
///
/// # Threads
///
/// Runs on a tokio runtime with time enabled. Without a runtime, the shadow gets no requests.
#[derive(Clone)]
#[must_use]
pub struct Shadow<C> {
    pub(super) service: C,
    pub(super) options: Arc<ShadowOptions>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) counters: Arc<Counters>,
}

#[derive(Debug, Clone)]
pub(super) struct ShadowOptions {
    pub(super) every: u64,
    pub(super) methods: Vec<Method>,
    pub(super) request_bodies: Option<usize>,
    pub(super) body_limit: usize,
    pub(super) timeout: Duration,
    pub(super) ignored: Vec<HeaderName>,
}

/// Fields in which correct responses may differ: they depend on the connection, the clock or the server. The content
/// length is ignored because only one side may declare it; the body itself is compared.
const IGNORED: [HeaderName; 8] = [
    header::AGE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    header::SERVER,
    header::TRANSFER_ENCODING,
    header::VIA,
];

/// The counters that clones share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Eligible requests; every n-th is selected.
    eligible: AtomicU64,
    compared: AtomicU64,
    differing: AtomicU64,
    skipped: AtomicU64,
}

/// How many responses of a [`Shadow`] were compared, and how many differed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowCounts {
    /// The requests whose two responses were compared.
    pub compared: u64,
    /// The compared requests with at least one difference; a missing response is a difference.
    pub differing: u64,
    /// The requests that were selected and not compared.
    pub skipped: u64,
}

impl<C> Shadow<C> {
    /// Sends requests to `service`; its responses are not sent to clients.
    pub fn new(service: C) -> Self {
        let options = ShadowOptions {
            every: 1,
            methods: vec![Method::GET, Method::HEAD],
            request_bodies: None,
            body_limit: 256 * 1024,
            timeout: Duration::from_secs(30),
            ignored: IGNORED.to_vec(),
        };
        Self { service, options: Arc::new(options), permits: Arc::new(Semaphore::new(16)), counters: Arc::default() }
    }
}

setters! {
    impl Shadow<C>;

    /// Sends one request in `n` to the shadow: the first, and then each n-th after it. Default: 1, all requests. With
    /// 0, none.
    pub fn every(mut self, n: u64) { self.options_mut().every = n }

    /// Sends requests of these methods to the shadow. Default: GET and HEAD.
    ///
    /// Name others only if executing a request on both sides is harmless.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) {
        self.options_mut().methods = methods.into_iter().collect()
    }

    /// Also sends requests with a body of at most this many bytes. Default: none.
    ///
    /// The body is copied while the primary reads it, without a delay.
    pub fn request_bodies(mut self, bytes: usize) { self.options_mut().request_bodies = Some(bytes) }

    /// How many bytes of the two response bodies are compared. Default: 256 KiB.
    pub fn body_limit(mut self, bytes: usize) { self.options_mut().body_limit = bytes }

    /// How many requests may be held for comparison at a time, from their arrival on. Default: 16. Beyond that,
    /// requests are not sent to the shadow. A response that streams for long holds its permit for as long.
    pub fn in_flight(mut self, requests: usize) {
        self.permits = Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS)))
    }

    /// How long the shadow may take for its response, body included. Default: 30 seconds. A timeout is a difference.
    pub fn timeout(mut self, wait: Duration) { self.options_mut().timeout = wait }

    /// Does not compare this header field.
    pub fn ignore_header(mut self, name: HeaderName) { self.options_mut().ignored.push(name) }
}

impl<C> Shadow<C> {
    /// The counts so far.
    pub fn counts(&self) -> ShadowCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Acquire);
        let counters = &self.counters;
        // `differing` is loaded first, and `compare` stores it last: a concurrent `compare` cannot make `differing`
        // exceed `compared`.
        let differing = of(&counters.differing);
        ShadowCounts { compared: of(&counters.compared), differing, skipped: of(&counters.skipped) }
    }

    fn options_mut(&mut self) -> &mut ShadowOptions {
        Arc::make_mut(&mut self.options)
    }
}

impl Counters {
    /// Counts a request. Returns whether it is the one in `every` to be selected.
    pub(super) fn select(&self, every: u64) -> bool {
        every > 0 && self.eligible.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)
    }

    pub(super) fn count_skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Release);
    }

    pub(super) fn count_compared(&self, differs: bool) {
        self.compared.fetch_add(1, Ordering::Release);
        if differs {
            self.differing.fetch_add(1, Ordering::Release);
        }
    }
}

impl<P, C: Clone> Layer<P> for Shadow<C> {
    type Service = Shadowed<P, C>;

    fn layer(&self, primary: P) -> Shadowed<P, C> {
        Shadowed { primary, shadow: self.clone() }
    }
}

partial_debug!(Shadow<C>, |this| options: this.options, counters: this.counters);
