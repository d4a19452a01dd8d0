//! Generated sequences.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::rules::Broken;
use crate::sequence::Sequence;
use crate::{message, rules, stage};

/// How many parts there are, each a test of its own, so that they share the processors.
const PARTS: u64 = 4;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => default,
    }
}

/// # Errors
///
/// The rule that the run broke.
pub(crate) fn verdict(sequence: &Sequence) -> Result<(), Broken> {
    rules::check(sequence, &stage::run(sequence))
}

/// Panics of the applications under test are part of the test, and not told.
pub(crate) fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"the application panics") {
                told(panic);
            }
        }));
    });
}

fn part(number: u64) {
    hush();
    let cases = setting("GATEWAY_MODEL_CASES", 10_000) / PARTS;
    let seed = setting("GATEWAY_MODEL_SEED", 0) * PARTS + number;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sequences = message::sequences();
    // One example of each rule, so that a common fault does not hide a rare one.
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for case in 0..cases {
        let sequence = sequences.new_tree(&mut runner).expect("no filter").current();
        let Err(Broken { rule, .. }) = verdict(&sequence) else { continue };
        found.entry(rule).or_insert_with(|| {
            let small = sequence.shrunk(|smaller| verdict(smaller).is_err_and(|other| other.rule == rule));
            let broken = verdict(&small).expect_err("it was seen to fail");
            format!("case {case} of part {number}: {broken}\n\n{small:?}\n")
        });
    }
    let found: Vec<String> = found.into_values().collect();
    assert!(found.is_empty(), "{} rules were broken\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_first_part_keeps_the_rules() {
    part(0);
}

#[test]
fn the_second_part_keeps_the_rules() {
    part(1);
}

#[test]
fn the_third_part_keeps_the_rules() {
    part(2);
}

#[test]
fn the_fourth_part_keeps_the_rules() {
    part(3);
}
