//! Requests that a second service receives, too, and the reported differences of its answers.

mod selection;
mod comparing;
mod clients;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use gateway::migration::{Shadow, ShadowCounts, Shadowed};
use gateway_tests::{Logged, block_on_runtime, capture_events, until_async, within};
use http::Response;
use http_body_util::BodyExt as _;
use tokio::runtime::Builder;
use tower::Service as _;

/// The differences that are logged while `run` runs.
fn differences(run: impl Future<Output = ()>) -> Vec<String> {
    let ((), events) = capture_events(|| {
        block_on_runtime(Builder::new_current_thread().enable_all().start_paused(true).build().unwrap(), run);
    });
    let is_difference = |event: &Logged| event.target == "gateway::shadow";
    events.into_iter().filter(is_difference).map(|event| event.text.trim_end().to_owned()).collect()
}

/// Waits until this number of requests were compared or skipped.
async fn settled<C>(shadow: &Shadow<C>, requests: u64) -> ShadowCounts {
    let is_settled = || shadow.counts().compared + shadow.counts().skipped >= requests;
    until_async("all requests are compared or skipped", is_settled).await;
    shadow.counts()
}

/// Waits until this number of requests were compared or skipped, on a paused clock.
async fn settled_in_time<C>(shadow: &Shadow<C>, requests: u64) -> ShadowCounts {
    within(async {
        while shadow.counts().compared + shadow.counts().skipped < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    shadow.counts()
}

fn request(method: &str, target: &str) -> Request {
    http::Request::builder().method(method).uri(target).body(Body::empty()).unwrap()
}

/// A service that returns these answers to any request.
fn answers(build: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> MethodRouter {
    any(move || std::future::ready(build()))
}

fn text(body: &'static str) -> MethodRouter {
    answers(move || Response::new(Body::from(body)))
}

/// The primary's answer, read to its end.
async fn ask<C>(service: &Shadowed<MethodRouter, C>, request: Request) -> String
where
    Shadowed<MethodRouter, C>: tower::Service<Request, Response = Response<Body>, Error = Infallible> + Clone,
{
    let answer = service.clone().call(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Counts its requests.
fn counting(calls: &Arc<AtomicUsize>) -> MethodRouter {
    let calls = Arc::clone(calls);
    any(move || {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready("same")
    })
}
