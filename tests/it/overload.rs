//! What becomes of requests for which there is no room.

use std::time::Duration;

use futures_util::FutureExt as _;
use gateway::{Gateway, Overload, Pool, PoolBuilder, ResponseFuture, Share};
use gateway_tests::{Gate, Server, call};

/// A mount on a pool of one thread and one place, both of them taken.
async fn full(gate: &mut Gate, settings: PoolBuilder) -> (Pool, Gateway, [ResponseFuture; 2]) {
    let pool = settings.threads(1).queue(1).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let taken = ["/running", "/waiting"].map(|path| call(&gateway, path));
    assert_eq!(gate.begun().await, "/running");
    (pool, gateway, taken)
}

/// POOL-07: the refusal says when to come again, and leaves the connection usable.
#[test]
fn a_refusal_says_when_to_come_again() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue(0).build().unwrap();
    let server = Server::start(axum::Router::new().fallback_service(Gateway::new(gate.application()).pool(&pool)));
    let mut first = server.connect();
    first.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    while pool.stats().busy == 0 {
        std::thread::yield_now();
    }
    let mut second = server.connect();
    let refusal = second.request("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((refusal.status(), refusal.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(first.reply().status(), 200);
    // The place is free when the thread has come back.
    while pool.stats().busy > 0 {
        std::thread::yield_now();
    }
    assert_eq!(second.request("GET /third HTTP/1.1\r\nHost: h\r\n\r\n").text(), "ok");
    assert_eq!(pool.stats().shed, 1);
}

/// POOL-07: those who wait do so in order of arrival, however many they are.
#[tokio::test]
async fn requests_may_wait_for_a_place_instead() {
    let mut gate = Gate::new();
    let (pool, gateway, taken) = full(&mut gate, Pool::builder().overload(Overload::Wait)).await;
    let mut late: Vec<_> = (0..20).map(|number| call(&gateway, &format!("/{number}"))).collect();
    for future in &mut late {
        assert!(future.now_or_never().is_none());
    }
    let answers = late.into_iter().map(tokio::spawn).collect::<Vec<_>>();
    gate.open();
    let mut order = vec![gate.begun().await];
    for _ in 0..20 {
        order.push(gate.begun().await);
    }
    let expected: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    assert_eq!(order, [&["/waiting".to_owned()], expected.as_slice()].concat());
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
    for future in taken {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    assert_eq!(pool.stats().shed, 0);
}

/// POOL-08: nobody waits for a place for longer than for a thread.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_place_ends_with_the_queue_timeout() {
    let mut gate = Gate::new();
    let settings = Pool::builder().overload(Overload::Wait).queue_timeout(Duration::from_secs(3));
    let (pool, gateway, taken) = full(&mut gate, settings).await;
    let start = tokio::time::Instant::now();
    let response = call(&gateway, "/late").await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (503, 3));
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(pool.stats().expired, 1);
    drop(taken);
}

/// POOL-16: and with the pool.
#[tokio::test]
async fn waiting_for_a_place_ends_when_the_pool_closes() {
    let mut gate = Gate::new();
    let (pool, gateway, taken) = full(&mut gate, Pool::builder().overload(Overload::Wait)).await;
    let mut late = call(&gateway, "/late");
    assert!((&mut late).now_or_never().is_none());
    pool.close();
    assert_eq!(late.await.unwrap().status(), 503);
    gate.open();
    for future in taken {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}

/// POOL-15: a pool that grows has places for those who wait for one.
#[tokio::test]
async fn a_pool_that_grows_lets_those_in_who_wait_for_a_place() {
    let mut gate = Gate::new();
    let (pool, gateway, taken) = full(&mut gate, Pool::builder().overload(Overload::Wait)).await;
    let late = ["/first", "/second"].map(|path| tokio::spawn(call(&gateway, path)));
    tokio::task::yield_now().await;
    pool.resize(1..=4).unwrap();
    let more = async {
        for _ in 0..3 {
            gate.begun().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), more).await.expect("there are threads for all");
    gate.open();
    for future in taken {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    for answer in late {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

/// POOL-20: and so has one that gets a reservation back.
#[tokio::test]
async fn a_reservation_that_ends_lets_those_in_who_wait_for_a_place() {
    let mut gate = Gate::new();
    let pool = Pool::builder().threads(2).queue(0).overload(Overload::Wait).build().unwrap();
    let share = pool.share(Share::new().reserved_threads(1)).unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let running = tokio::spawn(call(&gateway, "/running"));
    gate.begun().await;
    let late = tokio::spawn(call(&gateway, "/late"));
    tokio::task::yield_now().await;
    assert_eq!(pool.stats().queued, 0);
    drop(share);
    tokio::time::timeout(Duration::from_secs(5), gate.begun()).await.expect("there is a thread for it");
    gate.open();
    for answer in [running, late] {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

/// POOL-05: nobody takes the place of those who wait for one, not even that of a client who has left.
#[tokio::test]
async fn those_who_wait_for_a_place_are_not_overtaken() {
    let mut gate = Gate::new();
    let (_pool, gateway, [running, waiting]) = full(&mut gate, Pool::builder().overload(Overload::Wait)).await;
    let mut first = call(&gateway, "/first");
    assert!((&mut first).now_or_never().is_none());
    drop(waiting);
    let mut second = call(&gateway, "/second");
    assert!((&mut second).now_or_never().is_none());
    let answers = [first, second].map(tokio::spawn);
    gate.open();
    assert_eq!([gate.begun().await, gate.begun().await], ["/first", "/second"]);
    assert_eq!(running.await.unwrap().status(), 200);
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

/// POOL-18: also a refusal of what was let in and is not run any more, as its pool has ended.
#[tokio::test]
async fn a_job_that_is_given_up_is_refused_like_any_other() {
    let mut gate = Gate::new();
    let (pool, _gateway, [_running, waiting]) = full(&mut gate, Pool::builder()).await;
    pool.shutdown_within(Duration::ZERO).await;
    let response = waiting.await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

/// A limit can be tried out before it is one.
#[tokio::test]
async fn a_pool_that_only_reports_serves_everybody_and_counts() {
    let mut gate = Gate::new();
    let (pool, gateway, taken) = full(&mut gate, Pool::builder().overload(Overload::Report)).await;
    let late = [(); 5].map(|()| call(&gateway, "/late"));
    assert_eq!((pool.stats().would_have_shed, pool.stats().shed, pool.stats().queued), (5, 0, 6));
    gate.open();
    for future in taken.into_iter().chain(late) {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}

/// DISC-05, POOL-09: a request whose client leaves while it waits is counted, and never runs.
#[tokio::test]
async fn a_client_that_leaves_the_line_is_counted() {
    let mut gate = Gate::new();
    let (pool, gateway, [running, waiting]) = full(&mut gate, Pool::builder()).await;
    drop(waiting);
    assert_eq!(pool.stats().cancelled, 1);
    // Its place is free.
    let next = call(&gateway, "/next");
    gate.open();
    assert_eq!(gate.begun().await, "/next");
    for future in [running, next] {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}
