//! Shares of a pool, and pools whose size changes.

use std::io::ErrorKind;
use std::time::Duration;

use gateway::{Gateway, Pool, ResponseFuture, Share};
use gateway_tests::{Gate, call, until_async};

async fn status(future: ResponseFuture) -> u16 {
    future.await.unwrap().status().as_u16()
}

/// POOL-20: when all other threads and queue places are occupied, a mount with a reservation still answers.
#[tokio::test(crate = "crate::bounded")]
async fn a_reserved_mount_survives_a_saturated_one() {
    let slow = Gate::new();
    let critical = Gate::new();
    let pool = Pool::builder().threads(3).queue(3).build().unwrap();
    let share = pool.share(Share::new().reserved_threads(1)).unwrap();
    let critical_mount = Gateway::new(critical.application()).pool(&share);
    let slow_mount = Gateway::new(slow.application()).pool(&pool);
    // Two threads and two places in the queue; the third of each is reserved.
    let held = [(); 4].map(|()| tokio::spawn(status(call(&slow_mount, "/"))));
    slow.begun().await;
    slow.begun().await;
    assert_eq!(status(call(&slow_mount, "/")).await, 503);
    for _ in 0..3 {
        let answer = tokio::spawn(status(call(&critical_mount, "/")));
        critical.begun().await;
        critical.let_one();
        assert_eq!(answer.await.unwrap(), 200);
    }
    slow.open();
    for answer in held {
        assert_eq!(answer.await.unwrap(), 200);
    }
}

/// POOL-20: a mount with a cap leaves the remaining threads to the other mounts.
#[tokio::test(crate = "crate::bounded")]
async fn a_capped_mount_has_no_more_in_flight() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(4).build().unwrap();
    let capped = Gateway::new(gate.application()).pool(&pool.share(Share::new().max_in_flight(2)).unwrap());
    let other = Gateway::new(gate.application()).pool(&pool);
    let held = [(); 2].map(|()| tokio::spawn(status(call(&capped, "/"))));
    gate.begun().await;
    gate.begun().await;
    assert_eq!(status(call(&capped, "/")).await, 503);
    let free = tokio::spawn(status(call(&other, "/")));
    gate.begun().await;
    gate.open();
    assert_eq!(free.await.unwrap(), 200);
    for answer in held {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(status(call(&capped, "/")).await, 200);
}

/// A reservation ends with its last handle.
#[test]
fn a_reservation_leaves_a_thread_for_the_rest_and_ends_with_its_handle() {
    let pool = Pool::builder().threads(4).build().unwrap();
    let share = pool.share(Share::new().reserved_threads(2)).unwrap();
    let error = pool.share(Share::new().reserved_threads(2)).unwrap_err();
    let expected = "2 threads cannot be reserved of a pool of 4, of which 2 are reserved already";
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with(expected), "{error}");
    assert_eq!(pool.resize(1..=2).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(pool.stats().reserved, 2);
    drop(share);
    assert_eq!(pool.stats().reserved, 0);
    pool.share(Share::new().reserved_threads(3)).unwrap();
}

/// POOL-15: queued jobs start as soon as threads are added, and removing threads ends no running job.
#[tokio::test(crate = "crate::bounded")]
async fn a_pool_grows_and_shrinks_while_it_runs() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue(8).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let held = [(); 3].map(|()| tokio::spawn(status(call(&gateway, "/"))));
    gate.begun().await;
    assert_eq!((pool.stats().busy, pool.stats().queued), (1, 2));
    pool.resize(1..=3).unwrap();
    gate.begun().await;
    gate.begun().await;
    assert_eq!(pool.stats().busy, 3);
    pool.resize(1..=1).unwrap();
    assert_eq!(pool.stats().busy, 3);
    gate.open();
    for answer in held {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(status(call(&gateway, "/")).await, 200);
    until_async("one thread is left", || pool.stats().threads == 1).await;
    assert_eq!(status(call(&gateway, "/")).await, 200);
}

/// POOL-08, POOL-15: the queue timeout also applies to a request whose thread was about to start when the pool shrank.
#[tokio::test(crate = "crate::bounded")]
async fn requests_that_lose_their_thread_have_the_queue_timeout() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(64).queue_timeout(Duration::from_millis(100)).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    // Not all threads have started yet.
    let held = [(); 64].map(|()| tokio::spawn(status(call(&gateway, "/"))));
    tokio::task::yield_now().await;
    pool.resize(1..=1).unwrap();
    until_async("each request runs or has expired", || pool.stats().expired + (pool.stats().busy as u64) >= 64).await;
    gate.open();
    for answer in held {
        answer.await.unwrap();
    }
}

/// POOL-01, POOL-02.
#[test]
fn a_pool_starts_with_its_minimum_of_threads() {
    assert_eq!(Pool::builder().min_threads(3).threads(5).build().unwrap().stats().threads, 3);
    let error = Pool::builder().min_threads(3).threads(2).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let pool = Pool::builder().threads(2).build().unwrap();
    assert_eq!(pool.resize(0..=0).unwrap_err().kind(), ErrorKind::InvalidInput);
    pool.resize(4..=4).unwrap();
    assert_eq!(pool.stats().threads, 4);
}

/// POOL-23: idle threads end, until the minimum is reached.
#[tokio::test(crate = "crate::bounded")]
async fn idle_threads_end_after_the_idle_timeout() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(4).idle_timeout(std::time::Duration::from_millis(1)).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let held = [(); 4].map(|()| tokio::spawn(status(call(&gateway, "/"))));
    for _ in 0..4 {
        gate.begun().await;
    }
    assert_eq!(pool.stats().threads, 4);
    gate.open();
    for answer in held {
        assert_eq!(answer.await.unwrap(), 200);
    }
    until_async("one thread is left", || pool.stats().threads == 1).await;
    assert_eq!(status(call(&gateway, "/")).await, 200);
}
