//! The gateway with applications that are written in Python, beside the servers that are made for them: the same
//! modules in servers of their own, loaded in turns. The exit code is 1 if a complete run misses a target, and 2 if
//! nothing could be measured.
//!
//! ```sh
//! cargo bench -p gateway-tests --features python --bench python                           # everything
//! cargo bench -p gateway-tests --features python --bench python -- --work hello flask     # some of it
//! cargo bench -p gateway-tests --features python --bench python -- --write                # into the book
//! cargo bench -p gateway-tests --features python --bench python -- --render --write       # what the last run has found
//! ```
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

#[path = "../common/client.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod client;
#[path = "../common/compare/mod.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod compare;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod process;

mod contender;
mod environment;
mod link;
mod stage;
mod works;
mod targets;

use std::process::ExitCode;

fn main() -> ExitCode {
    compare::harness::main()
}
