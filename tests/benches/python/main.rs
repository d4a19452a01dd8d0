//! The gateway with Python applications, compared with the servers that are made for them: the same modules in separate
//! server processes, under load in turn. The exit code is 1 if a complete run misses a target, and 2 if the run fails.
//!
//! ```sh
//! cargo bench -p gateway-tests --features python --bench python                           # everything
//! cargo bench -p gateway-tests --features python --bench python -- --work hello flask     # two kinds of work
//! cargo bench -p gateway-tests --features python --bench python -- --write                # update the book
//! cargo bench -p gateway-tests --features python --bench python -- --render --write       # write the last results
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
