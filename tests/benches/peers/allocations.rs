//! The number of memory allocations per request, counted in this process.

use axum::Router;
use axum::routing::get;
use gateway::{Environ, Gateway, Pool, StartResponse, wsgi_app};
use gateway_tests::{Counting, Host, per_request};

use crate::compare::results::Single;
use crate::contender::{GATEWAY, YARDSTICK};

pub(crate) const NAME: &str = "allocations";

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test.local\r\n\r\n";

#[wsgi_app]
fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok(["Hello, world!"])
}

/// Starts servers with their own runtimes, so it must be called outside a runtime.
pub(crate) fn measure() -> anyhow::Result<Vec<Single>> {
    eprintln!("{NAME} …");
    let pool = Pool::builder().threads(4).build()?;
    let alone = per_request(Host::Axum, Router::new().route("/", get(|| async { "Hello, world!" })), REQUEST);
    let own = Router::new().route_service("/", Gateway::new(hello).pool(&pool));
    let own = per_request(Host::Gateway, own, REQUEST);
    let single = |name: String, value| Single { name, value, unit: String::new() };
    Ok(vec![single(name(&YARDSTICK.title()), alone.allocations), single(name(&GATEWAY.title()), own.allocations)])
}

/// The name of the figure for a server.
pub(crate) fn name(server: &str) -> String {
    format!("allocations of hello, {server}")
}
