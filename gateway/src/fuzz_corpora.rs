//! The kept inputs of the fuzz targets within the library, as tests: see `tests/fuzz`.
//!
//! Threads: the test's.

use std::fs;
use std::path::Path;

/// Runs a target on its corpus, and on pseudo-random inputs.
pub(crate) fn replay(name: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(name);
    // The published crate has no corpora.
    if !folder.exists() && std::env::var_os("GATEWAY_TEST_COMPLETE").is_none() {
        println!("SKIPPED: there is no {}", folder.display());
        return;
    }
    let inputs = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for input in inputs {
        let path = input.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 3, "{name} has {count} inputs");
    let mut random = 1_u64;
    for length in 0..2000 {
        let bytes = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56) as u8
        });
        check(&bytes.take(length % 500).collect::<Vec<u8>>());
    }
}
