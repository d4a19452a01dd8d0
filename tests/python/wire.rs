//! The contract on the wire, for a Python application: the tests of `wire`, run against the Python version of wsgibin.

use std::sync::Arc;

use axum::Router;
use clap::Parser as _;
use gateway::{Gateway, python};

#[allow(dead_code, reason = "the tests start the router, not the program")]
#[path = "../../examples/python.rs"]
mod server;

#[path = "../wire/target.rs"]
mod target;

#[path = "../wire/requests.rs"]
mod requests;
#[path = "../wire/bodies.rs"]
mod bodies;
#[path = "../wire/heads.rs"]
mod heads;
#[path = "../wire/lengths.rs"]
mod lengths;
#[path = "../wire/failures.rs"]
mod failures;
#[path = "../wire/connections.rs"]
mod connections;
#[path = "../wire/disconnects.rs"]
mod disconnects;
#[path = "../wire/corpus.rs"]
mod corpus;

/// The Python wsgibin with these flags, and with its own counters. Like the Rust wsgibin, it streams, and has the same
/// routes outside its pool.
fn served(flags: &[&str]) -> Router {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let own = ["python", "wsgibin:Wsgibin()", "--python-path", folder, "--stream", "--mount", "/", "--mount", "/app"];
    let options = server::Options::parse_from([&own, flags].concat());
    let twin = Arc::new(server::load(&options).expect("the twin"));
    let beside = python::pool().threads(1).build().expect("a pool");
    let (router, _) = server::route(&options, Arc::clone(&twin)).expect("a pool");
    let gateway = Gateway::new(twin).pool(&beside);
    router.route_service("/count", gateway.clone()).route_service("/fast", gateway)
}
