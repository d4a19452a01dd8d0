//! The pool: bounded, named, contained, and it stops when told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::{Chunks, Executor, Gateway, Job, Pool, Refused, application_fn};
use gateway_tests::{Journal, Server, call};
use tower::ServiceExt as _;

/// An application that notes its path, then waits at the gate for as long as it is closed.
fn gated(journal: &Journal) -> (impl gateway::Application, mpsc::Sender<()>) {
    let journal = journal.clone();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let app = application_fn(move |environ, start_response| {
        journal.note(environ.path_info());
        // The gate is open for good once its sender is gone.
        let _ = gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    (app, open)
}

fn request(path: &str) -> http::Request<http_body_util::Empty<bytes::Bytes>> {
    http::Request::get(path).body(http_body_util::Empty::new()).unwrap()
}

/// POOL-07: of 200 requests at once, those that find a place get 200, all others 503 at once; the async route beside
/// them always answers.
#[test]
fn overload_is_refused_and_neighbours_stay_responsive() {
    let journal = Journal::new();
    let (app, open) = gated(&journal);
    let pool = Pool::builder().threads(8).queue(32).build().unwrap();
    let router =
        Router::new().route("/async", get(|| async { "async" })).nest_service("/slow", Gateway::new(app).pool(&pool));
    let server = Server::start(router);
    let statuses = Mutex::new(BTreeMap::<u16, usize>::new());
    let refused = Mutex::new(Some(open));
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let mut connection = server.connect();
                let reply = connection.request("GET /slow/x HTTP/1.1\r\nHost: h\r\n\r\n");
                let mut statuses = statuses.lock().unwrap();
                *statuses.entry(reply.status()).or_default() += 1;
                // With the last refusal all 200 are accounted for.
                if statuses.get(&503) == Some(&160) {
                    refused.lock().unwrap().take();
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
    assert_eq!(journal.lines().len(), 40);
}

/// POOL-05.
#[tokio::test]
async fn jobs_run_in_order_of_arrival() {
    let journal = Journal::new();
    let (app, open) = gated(&journal);
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    let paths = ["/1", "/2", "/3", "/4"];
    let futures = paths.map(|path| call(&gateway, path));
    drop(open);
    for future in futures {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    assert_eq!(journal.lines(), paths);
}

/// POOL-16, POOL-17, POOL-25: what was accepted is answered, what comes later is refused, and stopping twice is fine.
#[tokio::test]
async fn shutdown_finishes_what_was_accepted_and_refuses_the_rest() {
    let (app, open) = gated(&Journal::new());
    let pool = Pool::builder().threads(2).queue(10).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    let accepted = ["/1", "/2", "/3", "/4"].map(|path| call(&gateway, path));
    let mut shutdown = Box::pin(pool.shutdown());
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(shutdown.as_mut().poll(cx))).await.is_pending());
    assert_eq!(call(&gateway, "/late").await.unwrap().status(), 503);
    drop(open);
    shutdown.await;
    for future in accepted {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    pool.shutdown().await;
}

/// POOL-22.
#[tokio::test]
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

/// POOL-06: workers that wait for one another all run, as long as there are threads.
#[tokio::test]
async fn jobs_that_wait_for_each_other_meet() {
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let app = application_fn(move |_, start_response| {
        barrier.wait();
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let pool = Pool::builder().threads(4).queue(4).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    for _ in 0..20 {
        // Together: a job alone would wait for ever.
        let together = [(); 4].map(|()| call(&gateway, "/"));
        for future in together {
            assert_eq!(future.await.unwrap().status(), 200);
        }
    }
}

/// POOL-10: 1,000 panics cost no thread.
#[tokio::test]
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
    assert!(error.to_string().contains("0 threads"));
    let error = Pool::builder().name("a\0b").build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    // More stack than there are addresses.
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

/// POOL-21, POOL-25: the threads end when the last handle goes: the application they held is dropped.
#[test]
fn a_dropped_pool_ends_its_threads() {
    struct Signal(mpsc::Sender<()>);
    impl Drop for Signal {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local!(static ENDED: std::cell::RefCell<Option<Signal>> = const { std::cell::RefCell::new(None) });
    let (ended, has_ended) = mpsc::channel();
    let app = application_fn(move |_, start_response| {
        // Dropped with the thread.
        ENDED.with_borrow_mut(|slot| *slot = Some(Signal(ended.clone())));
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    drop(pool);
    assert_eq!(gateway::testing::Client::of(gateway).get("/").text(), "ok");
    has_ended.recv().expect("the thread has ended");
}

/// POOL-13.
#[tokio::test]
async fn an_idle_thread_keeps_nothing_of_a_request() {
    let pool = Pool::builder().threads(1).build().unwrap();
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let gateway = Gateway::new(app).pool(&pool);
    let kept = Arc::new(());
    let mut request = request("/");
    request.extensions_mut().insert(Arc::clone(&kept));
    let response = tower::Service::call(&mut gateway.clone(), request).await.unwrap();
    drop(response);
    // The thread lets go of it, and of nothing later than that.
    while Arc::strong_count(&kept) > 1 {
        tokio::task::yield_now().await;
    }
    while pool.stats().busy > 0 {
        tokio::task::yield_now().await;
    }
}

/// An executor that lets a job wait for room.
struct Patient {
    room: Arc<tokio::sync::Semaphore>,
    pool: Pool,
}

#[async_trait::async_trait]
impl Executor for Patient {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(Refused::new(job));
        };
        permit.forget();
        self.pool.execute(job).await
    }
}

/// An executor that waits for its jobs instead of handing them over. The response does not wait with it.
struct Waiting;

#[async_trait::async_trait]
impl Executor for Waiting {
    async fn execute(&self, job: Job) -> Result<(), Refused> {
        // A job never panics.
        let _ = tokio::task::spawn_blocking(move || job.run()).await;
        Ok(())
    }
}

#[tokio::test]
async fn a_response_streams_while_its_executor_waits_for_the_job() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(vec![vec![0; 10_000]; 100]))
    });
    let response = call(&Gateway::new(app).executor(Waiting).response_buffer(1000), "/").await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body.len(), 1_000_000);
}

#[tokio::test]
async fn an_executor_may_wait_for_room_or_refuse() {
    let room = Arc::new(tokio::sync::Semaphore::new(0));
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let executor = Patient { room: Arc::clone(&room), pool: Pool::default() };
    let gateway = Gateway::new(app).executor(executor);
    let mut waiting = Box::pin(call(&gateway, "/"));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
    room.add_permits(1);
    assert_eq!(waiting.await.unwrap().status(), 200);
    room.close();
    assert_eq!(call(&gateway, "/").await.unwrap().status(), 503);
}

/// POOL-08, LOG-12: a job that waits for too long is taken back, on record as such, and never runs.
#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_too_long_never_runs() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let app = application_fn(move |_, start_response| {
        seen.fetch_add(1, Ordering::SeqCst);
        begin.send(())?;
        held.lock().unwrap().recv()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let pool = Pool::builder().threads(1).queue_timeout(Duration::from_secs(3)).build().unwrap();
    let gateway = Gateway::new(app).pool(&pool);
    let request = || http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let first = tokio::spawn(gateway.clone().oneshot(request()));
    begun.recv().await.unwrap();
    let start = tokio::time::Instant::now();
    let second = gateway.clone().oneshot(request()).await.unwrap();
    assert_eq!((second.status().as_u16(), start.elapsed().as_secs()), (503, 3));
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    drop(gateway);
    pool.shutdown().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
