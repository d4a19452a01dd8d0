//! The gateway against every other way to run blocking code behind axum, and against other frameworks: the same work in
//! servers of their own, loaded in turns. The exit code is 1 if a complete run misses a target, and 2 if nothing could
//! be measured.
//!
//! ```sh
//! cargo bench -p gateway-tests --bench peers                                   # everything
//! cargo bench -p gateway-tests --bench peers -- --work hello echo              # some of it
//! cargo bench -p gateway-tests --bench peers -- --write                        # into the book
//! cargo bench -p gateway-tests --bench peers -- --render --write               # what the last run has found
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
mod targets;

use std::process::ExitCode;

fn main() -> ExitCode {
    compare::harness::main()
}
