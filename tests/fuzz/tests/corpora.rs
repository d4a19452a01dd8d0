//! Every input of the corpora keeps the rules of its target.
//!
//! Threads: the tests'.

use std::fs;
use std::path::Path;

use gateway_fuzz::TARGETS;

/// The corpus of a target has inputs that libFuzzer has found, and some that were written for it.
#[test]
fn every_kept_input_keeps_the_rules() {
    for (name, check) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            println!("{}", path.display());
            check(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 3, "{name} has {count} inputs");
    }
}
