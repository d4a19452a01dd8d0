//! Tests that this machine cannot run.

use std::io::Write as _;

/// Prints the skipped test and the reason, bypassing the test harness, which captures the output of `eprintln!`. Fails
/// if `GATEWAY_TEST_COMPLETE` is set, as in CI.
#[track_caller]
pub fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("GATEWAY_TEST_COMPLETE").is_none(), "{test} cannot run: {reason}");
    let _ = std::io::stderr().write_all(format!("SKIPPED {test}: {reason}\n").as_bytes());
}
