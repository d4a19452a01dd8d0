//! What the benches have in common that compare servers: each a process of its own, loaded with wrk, in alternating
//! rounds.
//!
//! A bench that takes this in as `compare` has, beside its `main`, four modules that say what is its own: `contender`
//! (who is compared), `stage` (how their programs are made, and started), `works` (what is measured), and `targets`
//! (what the gateway is held to).

pub(crate) mod plan;
pub(crate) mod machine;
pub(crate) mod server;
pub(crate) mod lab;
pub(crate) mod wrk;
pub(crate) mod bout;
pub(crate) mod results;
pub(crate) mod target;
pub(crate) mod tables;
pub(crate) mod charts;
pub(crate) mod harness;
