//! The gateway compared with the other ways to run blocking code behind axum, and with other frameworks: the same work
//! in separate server processes, under load in turn. The exit code is 1 if a complete run misses a target, and 2 if the
//! run fails.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench peers                                   # everything
//! cargo bench -p gateway-tests --bench peers -- --work hello echo              # two kinds of work
//! cargo bench -p gateway-tests --bench peers -- --write                        # update the book
//! cargo bench -p gateway-tests --bench peers -- --render --write               # write the last results
//! ```
#![allow(clippy::cast_precision_loss, reason = "the figures are far below the precision of their type")]

#[path = "../common/client.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod client;
#[path = "../common/compare/mod.rs"]
mod compare;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "what it does for other harnesses")]
mod process;

mod contender;
mod stage;
mod works;
mod allocations;
mod held;
mod memory;
mod mixes;
mod targets;

use std::process::ExitCode;

fn main() -> ExitCode {
    compare::harness::main()
}
