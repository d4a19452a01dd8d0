//! What the attributes accept and what they refuse, in the compiler's own words: one mistake per file, named after it.
//!
//! To take over new messages after a change, run with `TRYBUILD=overwrite` and read the difference.

use std::process::Command;

use gateway_tests::{run, skip};

/// The messages below are those of one compiler; others word them differently. Without rustup, it may be another one.
const TOOLCHAIN: &str = include_str!("../../rust-toolchain.toml");

/// The version of the compiler that the messages are of, and of the one that runs.
fn versions() -> [String; 2] {
    let pinned = TOOLCHAIN.split_once("channel = \"").and_then(|(_, rest)| rest.split_once('"')).expect("a channel").0;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let (_, version, _) = run(Command::new(rustc).arg("--version"));
    [pinned.to_owned(), version.split(' ').nth(1).expect("a version").to_owned()]
}

/// MAC-02, MAC-04, MAC-06, MAC-09, IT-15 to IT-17, SR-18, SR-19, SR-32, SR-33, WR-03, WR-13: what is wrong does not
/// compile, and the message says so.
#[test]
fn the_attribute_says_what_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    let [pinned, runs] = versions();
    if pinned == runs {
        cases.compile_fail("ui/fail/*.rs");
    } else {
        skip("ui/fail", &format!("the messages are those of rustc {pinned}, and this is {runs}"));
    }
}
