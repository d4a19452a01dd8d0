//! The statistics of a pool, and the names of its mounts.

use gateway::{Gateway, Pool};
use gateway_tests::{Gate, call, until_async};

/// POOL-14: the figures of one snapshot are consistent.
#[tokio::test(crate = "crate::bounded")]
async fn figures_are_consistent_through_every_transition() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(2).queue(2).build().unwrap();
    let gateway = Gateway::new(gate.application()).pool(&pool);
    let figures = || {
        let stats = pool.stats();
        assert_eq!(stats.threads, stats.busy + stats.idle);
        (stats.busy, stats.queued, stats.completed, stats.has_room)
    };
    assert_eq!(figures(), (0, 0, 0, true));
    let mut futures = vec![call(&gateway, "/"), call(&gateway, "/")];
    gate.begun().await;
    gate.begun().await;
    assert_eq!(figures(), (2, 0, 0, true));
    futures.extend([call(&gateway, "/"), call(&gateway, "/")]);
    assert_eq!(figures(), (2, 2, 0, false));
    assert_eq!(call(&gateway, "/").await.unwrap().status(), 503);
    gate.open();
    for future in futures {
        assert_eq!(future.await.unwrap().status(), 200);
    }
    until_async("all threads are idle", || pool.stats().busy == 0).await;
    assert_eq!(figures(), (0, 0, 4, true));
    assert_eq!((pool.stats().shed, pool.stats().max_threads, pool.stats().queue_limit), (1, 2, 2));
}

/// The name of a mount is the configured one, or that of the application's type.
#[tokio::test(crate = "crate::bounded")]
async fn mounts_have_names() {
    #[gateway::wsgi_app]
    fn greeting(
        environ: &gateway::Environ,
        start_response: gateway::StartResponse<'_>,
    ) -> gateway::Result<[String; 1]> {
        start_response("200 OK", &[])?;
        let pool = environ.extensions().get::<Pool>().expect("a pool");
        Ok([pool.running()[0].mount.clone()])
    }
    for (gateway, name) in [
        (Gateway::new(greeting), "pool_stats::mounts_have_names::greeting"),
        (Gateway::new(greeting).name("hello"), "hello"),
    ] {
        // Each mount has its own pool: in a shared pool, the previous job may not have ended.
        let pool = Pool::builder().build().unwrap();
        let client = gateway::testing::Client::of(gateway.pool(&pool));
        assert_eq!(client.request("GET", "/").extension(pool.clone()).send().text(), name);
    }
}
