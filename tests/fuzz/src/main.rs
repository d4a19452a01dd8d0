//! The target of the environment variable `FUZZ_TARGET`, in libFuzzer's loop.
//!
//! One program for all targets: linking takes longer than anything else here.
//!
//! Threads: the main thread.
#![no_main]

use std::sync::LazyLock;

use gateway_fuzz::{Check, TARGETS};

static TARGET: LazyLock<Check> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={name} is none of {:?}", TARGETS.iter().map(|(name, _)| name))).1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (*TARGET)(input));
