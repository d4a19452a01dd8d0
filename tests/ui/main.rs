//! What `#[wsgi_app]` accepts and what it refuses, in the compiler's own words: one mistake per file, named after it.
//!
//! To take over new messages after a change, run with `TRYBUILD=overwrite` and read the difference.

use std::process::Command;

/// The messages below are those of one compiler; others word them differently.
const TOOLCHAIN: &str = include_str!("TOOLCHAIN");

fn is_the_pinned_compiler() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs").stdout;
    String::from_utf8_lossy(&version).split(' ').nth(1) == Some(TOOLCHAIN.trim())
}

/// MAC-02, MAC-04, MAC-06, IT-15 to IT-17, SR-18, SR-19, SR-32, SR-33, WR-03, WR-13: what is wrong does not compile,
/// and the message says so.
#[test]
fn the_attribute_says_what_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    if is_the_pinned_compiler() {
        cases.compile_fail("ui/fail/*.rs");
    } else {
        println!("the messages are compared with rustc {} only; this is another one", TOOLCHAIN.trim());
    }
}
