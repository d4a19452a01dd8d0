//! Jobs that a shutdown cuts off.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use futures_util::FutureExt as _;
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse};
use gateway_tests::{Gate, Logged, Waiter, block_on, capture_events};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

fn request(path: &str) -> Request {
    Request::get(path).body(axum::body::Body::empty()).unwrap()
}

/// POOL-18, LOG-12: of the requests that are left after the grace, a queued one never ran: its client may repeat it. A
/// running one may have had its effect: its client must not take it for one that never ran.
#[test]
fn a_request_that_is_cut_off_is_not_answered_as_if_it_had_never_run() {
    for is_handler in [false, true] {
        let gate = Gate::new();
        let waiter = gate.waiter();
        let pool = Pool::builder().threads(1).queue(1).build().unwrap();
        let router = if is_handler {
            Router::new().fallback(pool.handler(move || waiter.pass("handler")))
        } else {
            Router::new().fallback_service(Gateway::new(gate.application()).pool(&pool))
        };
        let (answers, events) = capture_events(|| {
            block_on(async {
                let mut requests = ["/running", "/queued"].map(|path| router.clone().oneshot(request(path)));
                assert!(requests.each_mut().map(|request| request.now_or_never().is_none()).iter().all(|waits| *waits));
                gate.begun().await;
                let left = pool.shutdown_within(Duration::ZERO).await;
                assert_eq!(left.len(), 1);
                let mut answers = Vec::new();
                for request in requests {
                    let response = request.await.unwrap();
                    answers.push((response.status().as_u16(), response.headers().contains_key("retry-after")));
                    response.into_body().collect().await.unwrap();
                }
                answers
            })
        });
        assert_eq!(answers, [(500, false), (503, true)]);
        let outcome = |record: &Logged| record.text.split("outcome=").nth(1).map(|outcome| outcome.trim().to_owned());
        let records = events.iter().filter(|event| event.target == "gateway::access");
        assert_eq!(records.filter_map(outcome).collect::<Vec<_>>(), ["error", "shed"]);
        assert_eq!(pool.stats().shed, 1);
    }
}

/// POOL-16: a response is complete when its job has stated the end, although the job has not left its thread.
#[tokio::test(crate = "crate::bounded")]
async fn a_complete_response_is_not_cut_off_with_its_job() {
    struct Sends(Waiter);
    impl Application for Sends {
        fn call<'r>(&self, _: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
            let write = start_response("200 OK", &[])?;
            write.send("0123456789")?;
            // The router is dropped with the future that has the head.
            self.0.pass("sending");
            for _ in 1..10 {
                write.send("0123456789")?;
            }
            Ok(Chunks::empty())
        }
    }
    /// The last reference to the application is dropped by its job.
    impl Drop for Sends {
        fn drop(&mut self) {
            self.0.pass("dropped");
        }
    }
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).build().unwrap();
    let router = Router::new().route("/", get(pool.mount(Sends(gate.waiter()))));
    let response = router.oneshot(request("/")).await.unwrap();
    assert_eq!(gate.begun().await, "sending");
    gate.let_one();
    assert_eq!(gate.begun().await, "dropped");
    let _left = pool.shutdown_within(Duration::ZERO).await;
    gate.open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "0123456789".repeat(10));
}
