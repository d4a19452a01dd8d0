//! The server: connections, addresses, timeouts, and shutdown.

mod addresses;
mod closing;
mod disconnect;
mod drain;
mod drivers;
mod header_case;
mod http2;
mod idle;
mod immediate_shutdown;
mod inherited;
mod listeners;
mod malformed_head;
mod network;
mod services;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod unread;
mod upgrades;
mod write_stall;

use axum::Router;
use axum::routing::get;
use gateway::serve::Server;
use gateway::{Chunks, Gateway, Pool, StartResponse, application_fn};
use gateway_tests::{Flavour, Gate, Stoppable, Waiter};
use tokio::net::TcpListener;

fn hello<'r>(start_response: &StartResponse<'_>) -> gateway::Result<Chunks<'r>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(Chunks::new(["hello"]))
}

/// `/gated`, whose application waits at the gate, and `/fast`, which needs no thread.
fn gated(pool: &Pool, waiter: Waiter) -> Router {
    let app = application_fn(move |environ, start_response| {
        waiter.pass(environ.path_info());
        hello(&start_response)
    });
    Router::new()
        .route("/fast", get(|| async { "fast" }))
        .nest_service("/gated", Gateway::new(app).pool(pool))
        .fallback_service(Gateway::new(application_fn(|_, start_response| hello(&start_response))).pool(pool))
}

type GatedServer = Server<TcpListener, Router>;

/// A server of these routes on one thread, and the gate.
fn serve_gated(
    flavour: Flavour,
    configure: impl FnOnce(GatedServer) -> GatedServer + Send + 'static,
) -> (Stoppable, Gate) {
    let (gate, waiter) = Gate::pair();
    let server = Stoppable::start(flavour, move |listener| {
        let pool = pool(1, 4);
        configure(gateway::serve(listener, gated(&pool, waiter)).pool(&pool))
    });
    (server, gate)
}

/// Without drivers: with one runtime thread, an answer shows that what was sent before on other connections has
/// arrived. The module `drivers` has servers with drivers.
fn pool(threads: usize, queue: usize) -> Pool {
    Pool::builder().threads(threads).queue(queue).name("served").drivers(0).build().unwrap()
}
