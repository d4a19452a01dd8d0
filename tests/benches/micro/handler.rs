//! A blocking handler, and an application that answers the same, each as a route of a router: one request at a time,
//! and 64 at a time.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::future::RouteFuture;
use axum::routing::get;
use criterion::{Criterion, Throughput};
use http::header;
use tower::Service as _;

use crate::hop::{Clients, IN_FLIGHT, hello, pool, request};
use crate::runtimes;

fn handler() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain")], "Hello, world!")
}

pub(crate) fn measure(criterion: &mut Criterion) {
    for (flavour, runtime) in runtimes() {
        for in_flight in [1, IN_FLIGHT] {
            let mut group = criterion.benchmark_group(format!("handler/{flavour}/{in_flight} in flight"));
            group.throughput(Throughput::Elements(in_flight as u64));
            let mut clients = Clients { group, runtime: &runtime, in_flight };
            let pool = pool(2);
            let application = clients.measure("application, 2 threads", through(pool.mount(hello)));
            let handler = clients.measure("handler, 2 threads", through(pool.handler(handler)));
            if let (Some(application), Some(handler)) = (application, handler) {
                println!("{:24}handler: {:.3} of an application's time, at their fastest", "", handler / application);
            }
        }
    }
}

/// Sends requests to a route.
fn through<T: 'static, H: Handler<T, ()>>(handler: H) -> impl Fn() -> RouteFuture<Infallible> + Clone + Send + 'static {
    let router: Router = Router::new().route("/", get(handler));
    move || router.clone().call(request().map(Body::new))
}
