//! The shared code of the benches that compare servers: each server is a separate process under load from wrk, in
//! alternating rounds.
//!
//! A bench that includes this module as `compare` has, beside its `main`, four modules of its own: `contender` (the
//! servers that are compared), `stage` (how their programs are built and started), `works` (the measurements), and
//! `targets` (the targets of the gateway).

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
