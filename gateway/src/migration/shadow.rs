//! What is compared, how much of it, and how often it differed.
//!
//! Threads: any.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, Method, header};
use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::shadowed::Shadowed;

/// A layer that shows some of a service's requests to a second one as well, and logs where their answers differ.
///
/// The service inside the layer is the primary: clients get its answers alone, at its pace. Only when an answer is
/// complete, or what is compared of it has gone, the shadow gets a copy of the request, on a task of its own; what
/// becomes of it there is compared, counted and dropped. So a shadow that is slow, fails, panics or never answers costs
/// clients nothing but what both services have in common: give a shadow that is a [`Gateway`](crate::Gateway) a pool of
/// its own, or [a share](crate::Pool::share). One that has no room for a request says so with 503, which then is what
/// differs.
///
/// # What is shown
///
/// Every [n-th](Self::every) request of those that are
///
/// * of a safe method, GET or HEAD, unless [others](Self::methods) are named: **the shadow runs for real**, and
///   whatever else it does, such as storing an order, is done twice;
/// * without a body, unless [`request_bodies`](Self::request_bodies) says how large one may be;
/// * no upgrade to another protocol.
///
/// One that was chosen is nevertheless skipped if [too many](Self::in_flight) are on their way, if the client left
/// before it had its answer, if that was broken off, and if the primary did not read the request's body to its end.
///
/// # What is compared
///
/// * The status.
/// * Each header field, with all its values in order, but for those that two right answers may differ in: `Age`,
///   `Connection`, `Content-Length`, `Date`, `Keep-Alive`, `Server`, `Transfer-Encoding` and `Via`.
///   [`ignore_header`](Self::ignore_header) adds others.
/// * The body, up to [`body_limit`](Self::body_limit) bytes. Beyond it the shadow's body is not even asked for; a
///   shadow that is a gateway takes that for a client that has gone.
///
/// Each difference is an event of its own, a warning with the target `gateway::shadow` and the fields `method` and
/// `path`, and `request_id` if the request has a [`RequestId`](crate::RequestId):
///
/// | message | more fields |
/// |---|---|
/// | `the status differs` | `primary`, `shadow` |
/// | `a header differs` | `header`; `primary`, `shadow`: its values |
/// | `the body differs` | `offset` of the first byte that does; `compared`, the bytes of the primary's body that were there to compare with |
/// | `the shadow failed` | `error`: of the service or its body, a panic, or that it did not answer in time |
///
/// Bodies and queries are not logged, nor the values of `Set-Cookie` and of fields that are marked as sensitive.
///
/// # Memory
///
/// At most [`in_flight`](Self::in_flight) requests are held, each with its head, its body up to `request_bodies`, and
/// the head and body of its answer up to `body_limit`: 4 MiB of bodies with the defaults.
///
/// Clones share their counts and their places. The methods that set something are for before the first request.
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
/// // Before the change: the old application answers, and one request in a hundred is shown to the new route.
/// let shadow = Shadow::new(get(prices)).every(100).ignore_header(http::header::SET_COOKIE);
/// let app: Router = Router::new().route_service("/prices", shadow.clone().layer(old()));
/// assert_eq!(shadow.counts().differing, 0);
///
/// // After it: the new route answers, and the old application is still asked.
/// let app_later: Router = Router::new().route("/prices", get(prices).layer(Shadow::new(old()).every(100)));
/// # drop((app, app_later));
/// ```
///
/// # Threads
///
/// Runs on the runtime, which has to be tokio's, with its timers enabled. Without one, nothing is shown to the shadow.
#[derive(Clone)]
pub struct Shadow<C> {
    service: C,
    options: Arc<ShadowOptions>,
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
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

/// What differs between right answers: facts of the connection, the clock, and who is asked. A length is one of those,
/// too, as one side knows it beforehand and the other does not; what it is the length of is compared.
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

/// What clones count together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Requests that could be shown; every n-th of them is.
    asked: AtomicU64,
    compared: AtomicU64,
    differing: AtomicU64,
    skipped: AtomicU64,
}

/// How often a [`Shadow`] was asked, and how often it had another answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowCounts {
    /// The requests whose two answers were compared.
    pub compared: u64,
    /// Those of them with at least one difference; no answer is one, too.
    pub differing: u64,
    /// The requests that were chosen and not compared.
    pub skipped: u64,
}

impl<C> Shadow<C> {
    /// Shows requests to `service`, whose answers no client sees.
    pub fn new(service: C) -> Self {
        let options = ShadowOptions {
            every: 1,
            methods: vec![Method::GET, Method::HEAD],
            request_bodies: None,
            body_limit: 256 * 1024,
            timeout: Duration::from_secs(30),
            ignored: IGNORED.to_vec(),
        };
        Self { service, options: Arc::new(options), places: Arc::new(Semaphore::new(16)), counters: Arc::default() }
    }

    /// Shows one request in `n`: the first, and then each n-th after it. Default: 1, which is all of them. With 0,
    /// none.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.terms_mut().every = n;
        self
    }

    /// Shows requests of these methods. Default: GET and HEAD.
    ///
    /// Name others only where it does no harm that a request is carried out by both sides.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.terms_mut().methods = methods.into_iter().collect();
        self
    }

    /// Shows requests with a body, too, if it is not larger than this, in bytes. Default: no.
    ///
    /// The body is copied while the primary reads it; nobody waits for it.
    #[must_use]
    pub fn request_bodies(mut self, bytes: usize) -> Self {
        self.terms_mut().request_bodies = Some(bytes);
        self
    }

    /// How much of two answers' bodies is compared, in bytes. Default: 256 KiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.terms_mut().body_limit = bytes;
        self
    }

    /// How many requests are held for comparison at a time, from their arrival on. Default: 16. While there are that
    /// many, others are not shown to the shadow. An answer that streams for long keeps its place for as long.
    #[must_use]
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.places = Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// How long the shadow may take for an answer, body included. Default: 30 seconds. No answer by then is a
    /// difference.
    #[must_use]
    pub fn timeout(mut self, wait: Duration) -> Self {
        self.terms_mut().timeout = wait;
        self
    }

    /// Compares this header field no more.
    #[must_use]
    pub fn ignore_header(mut self, name: HeaderName) -> Self {
        self.terms_mut().ignored.push(name);
        self
    }

    /// How it went so far.
    pub fn counts(&self) -> ShadowCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Acquire);
        let counters = &self.counters;
        // In this order, so that what differs was compared, whoever counts meanwhile.
        let differing = of(&counters.differing);
        ShadowCounts { compared: of(&counters.compared), differing, skipped: of(&counters.skipped) }
    }

    fn terms_mut(&mut self) -> &mut ShadowOptions {
        Arc::make_mut(&mut self.options)
    }

    pub(super) fn service(&self) -> &C {
        &self.service
    }

    pub(super) fn options(&self) -> &Arc<ShadowOptions> {
        &self.options
    }

    pub(super) fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

impl Counters {
    /// Whether the turn has come of one in `every`.
    pub(super) fn choose(&self, every: u64) -> bool {
        every > 0 && self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)
    }

    pub(super) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Release);
    }

    pub(super) fn compare(&self, differs: bool) {
        self.compared.fetch_add(1, Ordering::Release);
        if differs {
            self.differing.fetch_add(1, Ordering::Release);
        }
    }
}

impl<P, C: Clone> Layer<P> for Shadow<C> {
    type Service = Shadowed<P, C>;

    fn layer(&self, primary: P) -> Shadowed<P, C> {
        Shadowed::new(primary, self.clone())
    }
}

impl<C> fmt::Debug for Shadow<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow")
            .field("options", &self.options)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
