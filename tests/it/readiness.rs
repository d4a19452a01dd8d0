//! Readiness: whether a load balancer should send requests here.

use std::time::Duration;

use gateway::{Gateway, NotReady, Overload, Pool, PoolBuilder, Readiness, ResponseFuture, Share};
use gateway_tests::{Gate, call, until_async};
use http_body_util::BodyExt as _;

/// The status and the text of a readiness probe.
async fn probe(pool: &Pool) -> (u16, String) {
    let request = http::Request::get("/ready").body(()).unwrap();
    let response = tower::Service::call(&mut Readiness::new().pool(pool), request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn busy(gate: &Gate, settings: PoolBuilder, calls: usize) -> (Pool, Vec<ResponseFuture>) {
    let pool = settings.name("p").build().unwrap();
    let gateway = Gateway::new(gate.application()).name("mount").pool(&pool);
    let futures = std::iter::repeat_with(|| call(&gateway, "/")).take(calls).collect();
    for _ in 0..calls {
        gate.begun().await;
    }
    (pool, futures)
}

/// POOL-14: the pool is not ready while it would refuse the next request, and is ready again afterwards.
#[tokio::test(crate = "crate::bounded")]
async fn a_saturated_pool_is_not_ready() {
    let gate = Gate::new();
    let (pool, futures) = busy(&gate, Pool::builder().threads(2).queue(0), 1).await;
    assert_eq!(probe(&pool).await, (200, "ready\n".to_owned()));
    drop(futures);
    gate.open();
    let gate = Gate::new();
    let (pool, futures) = busy(&gate, Pool::builder().threads(2).queue(0), 2).await;
    assert_eq!(probe(&pool).await, (503, "p: saturated\n".to_owned()));
    gate.open();
    for future in futures {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    until_async("the pool has room", || pool.unready().is_none()).await;
    assert_eq!(probe(&pool).await.0, 200);
}

/// POOL-20: a share is ready if its own requests would be admitted, and a pool with an unlimited queue is always ready.
#[tokio::test(crate = "crate::bounded")]
async fn a_share_is_saturated_when_its_next_request_would_be_refused() {
    let gate = Gate::new();
    let (pool, _futures) = busy(&gate, Pool::builder().threads(3).queue(0), 1).await;
    let reserved = pool.share(Share::new().reserved_threads(2)).unwrap();
    assert_eq!((pool.unready(), reserved.unready()), (Some(NotReady::Saturated), None));
    let capped = pool.share(Share::new().max_in_flight(0)).unwrap();
    drop(reserved);
    assert_eq!((pool.unready(), capped.unready()), (None, Some(NotReady::Saturated)));

    let gate = Gate::new();
    let (pool, _futures) = busy(&gate, Pool::builder().threads(2).queue(0).overload(Overload::Report), 2).await;
    assert_eq!(pool.unready(), None);
}

/// If all threads but one are stuck, the pool is not ready, although it still answers.
#[tokio::test(crate = "crate::bounded")]
async fn a_pool_out_of_usable_threads_is_not_ready() {
    for (threads, stuck, expected) in [(3, 1, None), (3, 2, Some(NotReady::Stuck)), (1, 1, Some(NotReady::Stuck))] {
        let gate = Gate::new();
        let settings = Pool::builder().threads(threads).stuck_after(Duration::ZERO);
        let (pool, _futures) = busy(&gate, settings, stuck).await;
        assert_eq!(pool.unready(), expected, "{stuck} of {threads}");
        assert_eq!(pool.stats().stuck, stuck);
        let running = pool.running();
        assert_eq!(running.len(), stuck);
        assert!(running.iter().all(|job| job.mount == "mount" && job.thread.starts_with("p-")), "{running:?}");
    }
}

/// POOL-18: the pool is not ready as soon as a drain begins, although it still serves requests.
#[tokio::test(crate = "crate::bounded")]
async fn a_draining_pool_is_not_ready_and_still_serves() {
    let gate = Gate::new();
    gate.open();
    let pool = Pool::builder().name("p").build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    pool.begin_drain();
    assert_eq!(probe(&pool).await, (503, "p: draining\n".to_owned()));
    assert_eq!(call(&gateway, "/").await.unwrap().status(), 200);
    pool.close();
    assert_eq!(call(&gateway, "/").await.unwrap().status(), 503);
}

/// POOL-18: after the grace period, queued requests are refused, running applications see a disconnect, and a job that
/// does not return is in the report; its client does not take it for one that never ran.
#[tokio::test(crate = "crate::bounded")]
async fn shutting_down_ends_with_the_grace_and_a_report() {
    let gate = Gate::new();
    let (pool, mut futures) = busy(&gate, Pool::builder().threads(1), 1).await;
    let gateway = Gateway::new(gate.application()).pool(&pool);
    futures.push(call(&gateway, "/"));
    let running = pool.shutdown_within(Duration::from_millis(1)).await;
    assert_eq!(running.iter().map(|job| (&*job.mount, job.is_orphaned)).collect::<Vec<_>>(), [("mount", true)]);
    for (future, status) in futures.into_iter().zip([500, 503]) {
        assert_eq!(future.await.unwrap().status(), status);
    }
    gate.open();
    assert!(pool.shutdown_within(Duration::from_secs(20)).await.is_empty());
}
