//! The contract on the wire: raw HTTP requests to wsgibin, at `/` and under `/app`, on both runtimes, in whole and in
//! 1-byte segments. Each test covers one rule, or a few rules in one exchange.

#[allow(dead_code, reason = "the tests start the router, not the program")]
#[path = "../../examples/wsgibin.rs"]
mod wsgibin;

mod target;

mod requests;
mod bodies;
mod heads;
mod lengths;
mod failures;
mod connections;
mod disconnects;
mod corpus;

/// wsgibin with these flags.
fn served(flags: &[&str]) -> axum::Router {
    let options = <wsgibin::Options as clap::Parser>::parse_from([&["wsgibin"], flags].concat());
    wsgibin::build(&options).expect("a pool").0
}
