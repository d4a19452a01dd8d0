//! Requests that find the queue full.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use futures_util::FutureExt as _;
use gateway::{Executor, Gateway, Job, Overload, Pool, PoolBuilder, Refused, ResponseFuture, Share, application_fn};
use gateway_tests::{Gate, Server, block_on, call, capture_events, until};
use tower::ServiceExt as _;

/// A mount on a pool with one busy thread, and a full queue of one job.
async fn full(gate: &Gate, settings: PoolBuilder) -> (Pool, Gateway, [ResponseFuture; 2]) {
    let pool = settings.threads(1).queue(1).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let taken = ["/running", "/waiting"].map(|path| call(&gateway, path));
    assert_eq!(gate.begun().await, "/running");
    (pool, gateway, taken)
}

/// POOL-07: the refusal has a `Retry-After`, and leaves the connection usable.
#[test]
fn a_refusal_says_when_to_come_again() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue(0).build().unwrap();
    let server = Server::of(Gateway::new(gate.application()).pool(&pool));
    let mut first = server.ask("/first");
    gate.await_call();
    let mut second = server.connect();
    let refusal = second.request("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((refusal.status(), refusal.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(first.reply().status(), 200);
    // The place in the queue is free when the thread has become idle.
    until("the thread is idle", || pool.stats().busy == 0);
    assert_eq!(second.request("GET /third HTTP/1.1\r\nHost: h\r\n\r\n").text(), "ok");
    assert_eq!(pool.stats().shed, 1);
}

/// POOL-05, POOL-07: with an unlimited queue, no request is refused because the queue is full; jobs run in order of
/// arrival. The reserved part of such a queue is unlimited, too.
#[tokio::test(crate = "crate::bounded")]
async fn an_unlimited_queue_refuses_no_request() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(2).queue(usize::MAX).build().unwrap();
    let reserved = pool.share(Share::new().reserved_threads(1)).unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let running = call(&gateway, "/running");
    assert_eq!(gate.begun().await, "/running");
    let queued: Vec<_> = (0..500).map(|number| call(&gateway, &format!("/{number}"))).collect();
    assert!(pool.stats().has_room && reserved.stats().has_room);
    gate.open();
    for number in 0..500 {
        assert_eq!(gate.begun().await, format!("/{number}"));
    }
    for future in std::iter::once(running).chain(queued) {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    assert_eq!(pool.stats().shed, 0);
}

/// An executor that is full for this time.
struct Full(Duration);

#[async_trait::async_trait]
impl Executor for Full {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        Err(Refused::new(job))
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(self.0)
    }
}

/// POOL-07: `Retry-After` has whole seconds, rounded up, from one to an hour.
#[tokio::test(crate = "crate::bounded")]
async fn a_refused_client_comes_again_within_an_hour() {
    for (nanoseconds, seconds) in [
        (0, "1"),
        (1_000_000_000, "1"),
        (1_000_000_001, "2"),
        (3_600_000_000_000, "3600"),
        (3_600_000_000_001, "3600"),
        (u64::MAX, "3600"),
    ] {
        let gate = Gate::new();
        let full = Full(Duration::from_nanos(nanoseconds));
        let response = call(&Gateway::new(gate.application()).executor(full), "/").await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], seconds, "{nanoseconds}");
    }
}

/// An executor without capacity, on which jobs may wait for three seconds.
pub(crate) struct NoRoom;

#[async_trait::async_trait]
impl Executor for NoRoom {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        std::future::pending::<()>().await;
        Err(Refused::new(job))
    }

    fn longest_wait(&self) -> Option<Duration> {
        Some(Duration::from_secs(3))
    }
}

/// POOL-08: the wait for capacity counts towards the queue timeout.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_wait_for_room_ends_with_the_queue_timeout() {
    let gate = Gate::new();
    let start = tokio::time::Instant::now();
    let response = call(&Gateway::new(gate.application()).executor(NoRoom), "/").await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (503, 3));
}

/// POOL-18: a queued job that is refused at the shutdown of the pool has a `Retry-After`, too.
#[tokio::test(crate = "crate::bounded")]
async fn a_job_that_is_given_up_is_refused_like_any_other() {
    let gate = Gate::new();
    let (pool, _gateway, [_running, waiting]) = full(&gate, Pool::builder()).await;
    pool.shutdown_within(Duration::ZERO).await;
    let response = waiting.await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

/// `Overload::Report` measures a limit before it is enforced.
#[tokio::test(crate = "crate::bounded")]
async fn a_pool_that_only_reports_admits_all_requests_and_counts() {
    let gate = Gate::new();
    let (pool, gateway, taken) = full(&gate, Pool::builder().overload(Overload::Report)).await;
    let late = [(); 5].map(|()| call(&gateway, "/late"));
    assert_eq!((pool.stats().would_have_shed, pool.stats().shed, pool.stats().queued), (5, 0, 6));
    gate.open();
    for future in taken.into_iter().chain(late) {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}

/// DISC-05, POOL-09: a request whose client disconnects in the queue is counted, and never runs.
#[tokio::test(crate = "crate::bounded")]
async fn a_client_that_leaves_the_queue_is_counted() {
    let gate = Gate::new();
    let (pool, gateway, [running, waiting]) = full(&gate, Pool::builder()).await;
    drop(waiting);
    assert_eq!(pool.stats().cancelled, 1);
    // The place in the queue is free.
    let next = call(&gateway, "/next");
    gate.open();
    assert_eq!(gate.begun().await, "/next");
    for future in [running, next] {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}

/// ERR-16, POOL-08: the deadline of a queued request passes: its application is not called, and the request is counted.
#[tokio::test(crate = "crate::bounded")]
async fn a_deadline_that_passes_in_the_queue_is_counted() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue(1).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let running = call(&gateway, "/running");
    assert_eq!(gate.begun().await, "/running");
    // The timers of the waits above are over.
    tokio::time::pause();
    let late = call(&gateway.deadline(Duration::from_secs(3)), "/late").await.unwrap();
    assert_eq!((late.status().as_u16(), pool.stats().expired), (504, 1));
    gate.open();
    assert_eq!(running.await.unwrap().status(), 200);
    pool.shutdown().await;
    assert_eq!(gate.calls(), ["/running"]);
}

/// A value that its extractor never has.
struct Never;

impl<S: Send + Sync> FromRequestParts<S> for Never {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        std::future::pending().await
    }
}

/// DISC-05, LOG-12: a client that leaves before its request is queued, while its extractors run or its body is read, is
/// counted, too: the records and the figures agree.
#[test]
fn a_client_that_leaves_before_the_queue_is_counted() {
    let pool = Pool::builder().threads(1).build().unwrap();
    let app = application_fn(|_, _| panic!("the application was called"));
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    for (router, body) in [
        (Router::new().route("/", post(pool.handler(|_: Never| ()))), Body::empty()),
        (Router::new().route("/", post(pool.mount(app))), Body::from_stream(never)),
    ] {
        let before = pool.stats().cancelled;
        let ((), events) = capture_events(|| {
            block_on(async {
                let mut response = router.oneshot(Request::post("/").body(body).unwrap());
                assert!((&mut response).now_or_never().is_none());
            });
        });
        assert!(events[0].text.ends_with("outcome=cancelled in queue "), "{events:?}");
        assert_eq!(pool.stats().cancelled - before, 1);
    }
}
