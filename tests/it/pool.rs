//! The pool: its limits, its names, its shutdown, and panics in it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use gateway::{Chunks, Executor, Gateway, Job, Pool, Refused, application_fn};
use gateway_tests::{Gate, NotifyOnDrop, Server, answer_fn, block_on, call, recv, until, until_async};

fn request(path: &str) -> Request {
    Request::get(path).body(axum::body::Body::empty()).unwrap()
}

/// POOL-07: of 200 concurrent requests, those that are admitted get 200, and all others get 503 at once; the async
/// route always answers.
#[test]
fn overload_is_refused_and_neighbours_stay_responsive() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(8).queue(32).build().unwrap();
    let router = Router::new()
        .route("/async", get(|| async { "async" }))
        .nest_service("/slow", Gateway::new(gate.application()).pool(&pool));
    let server = Server::of(router);
    let statuses = Mutex::new(BTreeMap::<u16, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let mut connection = server.connect();
                let reply = connection.request("GET /slow/x HTTP/1.1\r\nHost: h\r\n\r\n");
                let mut statuses = statuses.lock().unwrap();
                *statuses.entry(reply.status()).or_default() += 1;
                // The last refusal shows that all 200 requests have arrived.
                if statuses.get(&503) == Some(&160) {
                    gate.open();
                }
                drop(statuses);
                if reply.status() == 503 {
                    // A refusal leaves the connection usable.
                    assert_eq!(connection.request("GET /async HTTP/1.1\r\nHost: h\r\n\r\n").text(), "async");
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(server.get("/async").text(), "async");
        }
    });
    assert_eq!(*statuses.lock().unwrap(), BTreeMap::from([(200, 40), (503, 160)]));
    assert_eq!(gate.calls().len(), 40);
}

/// POOL-05.
#[tokio::test(crate = "crate::bounded")]
async fn jobs_run_in_order_of_arrival() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let paths = ["/1", "/2", "/3", "/4"];
    let futures = paths.map(|path| call(&gateway, path));
    gate.open();
    for future in futures {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    assert_eq!(gate.calls(), paths);
}

/// POOL-16, POOL-17, POOL-25: accepted requests are answered, later requests are refused, and a second shutdown has no
/// effect.
#[tokio::test(crate = "crate::bounded")]
async fn shutdown_finishes_what_was_accepted_and_refuses_the_rest() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(2).queue(10).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let accepted = ["/1", "/2", "/3", "/4"].map(|path| call(&gateway, path));
    let mut shutdown = Box::pin(pool.shutdown());
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(shutdown.as_mut().poll(cx))).await.is_pending());
    assert_eq!(call(&gateway, "/late").await.unwrap().status(), 503);
    gate.open();
    shutdown.await;
    for future in accepted {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    pool.shutdown().await;
}

/// A value that panics when it is dropped.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("as the test wants");
    }
}

impl FromRequestParts<Arc<AtomicUsize>> for Bomb {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, dropped: &Arc<AtomicUsize>) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(dropped)))
    }
}

/// In the extensions of a request.
#[derive(Clone)]
struct Extended(#[expect(dead_code, reason = "for its destructor")] Arc<Bomb>);

/// One thread that is busy until the gate opens, and routes whose jobs hold two values each that panic.
fn bombs(gate: &Gate, queue: usize) -> (Pool, Arc<AtomicUsize>, Server) {
    let pool = Pool::builder().threads(1).queue(queue).build().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    let extended = {
        let dropped = Arc::clone(&dropped);
        move |mut request: Request, next: Next| {
            request.extensions_mut().insert(Extended(Arc::new(Bomb(Arc::clone(&dropped)))));
            next.run(request)
        }
    };
    let router = Router::new()
        .route("/application", get(pool.mount(gate.application())).layer(from_fn(extended)))
        .route("/handler", get(pool.handler(|_: Bomb, _: Bomb| ())))
        .route("/waits", get(pool.mount(gate.application())))
        .with_state(Arc::clone(&dropped));
    (pool, dropped, Server::of(router))
}

/// ERR-09: jobs that never run, with values that panic when they are dropped: each value is dropped by itself, as a
/// second panic while the first unwinds would end the process. The clients have left, the pool gives up, or there is no
/// room.
#[test]
fn the_values_of_jobs_that_never_run_are_dropped_one_by_one() {
    for (path, bombs_of_a_job) in [("/application", 1), ("/handler", 2)] {
        let gate = Gate::new();
        let (pool, dropped, server) = bombs(&gate, 2);
        let mut running = server.ask("/waits");
        gate.await_call();
        let queued = [server.ask(path), server.ask(path)];
        until("two jobs are queued", || pool.stats().queued == 2);
        drop(queued);
        until("both are cancelled", || pool.stats().cancelled == 2);
        // Makes room.
        let mut next = server.ask("/waits");
        until("the values are dropped", || dropped.load(Ordering::SeqCst) == 2 * bombs_of_a_job);
        gate.open();
        assert_eq!((running.reply().status(), next.reply().status()), (200, 200), "{path}");

        let gate = Gate::new();
        let (pool, dropped, server) = bombs(&gate, 2);
        let _running = server.ask("/waits");
        gate.await_call();
        let mut queued = [server.ask(path), server.ask(path)];
        until("two jobs are queued", || pool.stats().queued == 2);
        block_on(pool.shutdown_within(Duration::ZERO));
        assert_eq!(queued.each_mut().map(|queued| queued.reply().status()), [503, 503], "{path}");
        assert_eq!((dropped.load(Ordering::SeqCst), pool.stats().shed), (2 * bombs_of_a_job, 2), "{path}");

        let gate = Gate::new();
        let (pool, dropped, server) = bombs(&gate, 0);
        let _running = server.ask("/waits");
        gate.await_call();
        assert_eq!(server.get(path).status(), 503, "{path}");
        assert_eq!((dropped.load(Ordering::SeqCst), pool.stats().shed), (bombs_of_a_job, 1), "{path}");
    }
}

/// POOL-22.
#[tokio::test(crate = "crate::bounded")]
async fn threads_are_named_after_their_pool() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new([std::thread::current().name().unwrap_or("?").to_owned()]))
    });
    let pool = Pool::builder().threads(1).name("reports").build().unwrap();
    let response = call(&Gateway::new(app).pool(&pool), "/").await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "reports-1");
}

/// POOL-06: jobs that wait for one another all run, as long as the pool has enough threads.
#[tokio::test(crate = "crate::bounded")]
async fn as_many_jobs_run_at_once_as_there_are_threads() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(4).queue(4).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    for _ in 0..20 {
        let together = [(); 4].map(|()| call(&gateway, "/"));
        for _ in &together {
            gate.begun().await;
        }
        together.iter().for_each(|_| gate.let_one());
        for future in together {
            assert_eq!(future.await.unwrap().status(), 200);
        }
    }
}

/// POOL-10: 1,000 panics end no thread.
#[tokio::test(crate = "crate::bounded")]
async fn panics_cost_no_thread() {
    let app = application_fn(|environ, start_response| {
        assert_eq!(environ.path_info(), "/fine", "as the test wants");
        start_response("200 OK", &[])?;
        Ok(Chunks::new([std::thread::current().name().unwrap_or("?").to_owned()]))
    });
    let pool = Pool::builder().threads(1).name("only").build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    for _ in 0..1000 {
        assert_eq!(call(&gateway, "/panic").await.unwrap().status(), 500);
    }
    let response = call(&gateway, "/fine").await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "only-1");
}

/// POOL-01.
#[test]
fn a_pool_that_cannot_work_is_not_built() {
    let error = Pool::builder().threads(0).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let error = Pool::builder().name("a\0b").build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let error = Pool::builder().drivers(1025).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("a pool cannot have 1025 drivers; give it 1024 or fewer"), "{error}");
    // They start with a server.
    assert!(Pool::builder().drivers(1024).build().is_ok());
    // The stack would exceed the address space.
    assert!(Pool::builder().stack_size(usize::MAX / 2).build().is_err());
}

/// ENV-29, POOL-19.
#[test]
fn a_pool_of_one_says_so() {
    for (threads, multithread) in [(1, false), (2, true)] {
        let pool = Pool::builder().threads(threads).build().unwrap();
        assert_eq!(pool.is_concurrent(), multithread);
    }
}

/// POOL-21, POOL-25: the threads end with the last handle.
#[test]
fn a_dropped_pool_ends_its_threads() {
    thread_local!(static ENDED: std::cell::RefCell<Option<NotifyOnDrop>> = const { std::cell::RefCell::new(None) });
    let (ended, has_ended) = mpsc::channel();
    let app = answer_fn(move |_| {
        // The value is dropped with the thread.
        ENDED.with_borrow_mut(|slot| *slot = Some(NotifyOnDrop(ended.clone())));
        Ok(["ok"])
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    drop(pool);
    assert_eq!(gateway::testing::Client::of(gateway).get("/").text(), "ok");
    recv(&has_ended);
}

/// POOL-13.
#[tokio::test(crate = "crate::bounded")]
async fn an_idle_thread_keeps_nothing_of_a_request() {
    let pool = Pool::builder().threads(1).build().unwrap();
    let app = answer_fn(|_| Ok(["ok"]));
    let gateway = Gateway::new(app).pool(&pool);
    let kept = Arc::new(());
    let mut request = request("/");
    request.extensions_mut().insert(Arc::clone(&kept));
    let response = tower::Service::call(&mut gateway.clone(), request).await.unwrap();
    drop(response);
    until_async("the request is dropped", || Arc::strong_count(&kept) == 1).await;
    until_async("the thread is idle", || pool.stats().busy == 0).await;
}

/// An executor whose jobs wait for capacity.
struct WaitsForRoom {
    room: Arc<tokio::sync::Semaphore>,
    pool: Pool,
}

#[async_trait::async_trait]
impl Executor for WaitsForRoom {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(Refused::new(job));
        };
        permit.forget();
        self.pool.execute(job).await
    }
}

/// An executor that waits for the end of its jobs.
struct WaitsForEnd;

#[async_trait::async_trait]
impl Executor for WaitsForEnd {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        // A job never panics.
        let _ = tokio::task::spawn_blocking(move || job.run()).await;
        Ok(())
    }
}

#[tokio::test(crate = "crate::bounded")]
async fn a_response_streams_while_its_executor_waits_for_the_job() {
    let app = answer_fn(|_| Ok(vec![vec![0; 10_000]; 100]));
    let response = call(&Gateway::new(app).executor(WaitsForEnd).response_buffer(1000), "/").await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body.len(), 1_000_000);
}

#[tokio::test(crate = "crate::bounded")]
async fn an_executor_may_wait_for_room_or_refuse() {
    let room = Arc::new(tokio::sync::Semaphore::new(0));
    let app = answer_fn(|_| Ok(["ok"]));
    let executor = WaitsForRoom { room: Arc::clone(&room), pool: Pool::default() };
    let gateway = Gateway::new(app).executor(executor);
    let mut waiting = Box::pin(call(&gateway, "/"));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
    room.add_permits(1);
    assert_eq!(waiting.await.unwrap().status(), 200);
    room.close();
    assert_eq!(call(&gateway, "/").await.unwrap().status(), 503);
}

/// POOL-08, LOG-12: a job that exceeds the queue timeout is cancelled, is recorded as expired, and never runs.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_job_that_waits_for_too_long_never_runs() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue_timeout(Duration::from_secs(3)).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let first = tokio::spawn(call(&gateway, "/first"));
    gate.begun().await;
    let start = tokio::time::Instant::now();
    let second = call(&gateway, "/second").await.unwrap();
    assert_eq!((second.status().as_u16(), start.elapsed().as_secs()), (503, 3));
    gate.open();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    drop(gateway);
    pool.shutdown().await;
    assert_eq!(gate.calls(), ["/first"]);
}
