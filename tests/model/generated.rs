//! Generated sequences.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::rules::Broken;
use crate::sequence::Sequence;
use crate::{message, rules, stage, streams};

/// The number of parts. Each part is a separate test, so that the parts run in parallel.
const PARTS: u64 = 4;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => default,
    }
}

/// # Errors
///
/// The run broke a rule.
pub(crate) fn verdict(sequence: &Sequence) -> Result<(), Broken> {
    rules::check(sequence, &stage::run(sequence))
}

thread_local! {
    /// The last panic that no application raised. A run stays on one thread.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records the panics of servers for the rules. The panics of the applications under test are expected.
pub(crate) fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.payload().downcast_ref::<&str>() {
            Some(&"the application panics") => {}
            // A debug assertion of h2 that is too strict, for a connection that is dropped with its streams (h2 #907).
            Some(&"assertion failed: !self.has_streams()") => {}
            _ if tokio::runtime::Handle::try_current().is_err() => hook(panic),
            _ => PANIC.set(Some(panic.to_string())),
        }));
    });
}

/// Takes the panic that was recorded on this thread since the last call.
pub(crate) fn take_panic() -> Option<String> {
    PANIC.take()
}

fn part(number: u64, sequences: impl Strategy<Value = Sequence>) {
    watch_panics();
    let cases = setting("GATEWAY_MODEL_CASES", 10_000) / PARTS;
    let seed = setting("GATEWAY_MODEL_SEED", 0) * PARTS + number;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // One example for each rule, so that a frequent failure does not hide a rare one.
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for case in 0..cases {
        let sequence = sequences.new_tree(&mut runner).expect("no filter").current();
        let Err(broken) = verdict(&sequence) else { continue };
        let rule = broken.rule;
        found.entry(rule).or_insert_with(|| {
            // The scheduling of threads varies, so a sequence with threads runs several times.
            let tries = if sequence.settings.threads { 5 } else { 1 };
            let fails =
                |smaller: &Sequence| (0..tries).find_map(|_| verdict(smaller).err().filter(|other| other.rule == rule));
            let small = sequence.clone().shrunk(|smaller| fails(smaller).is_some());
            let (broken, example) = match fails(&small) {
                Some(broken) => (broken, small),
                None => (broken, sequence),
            };
            format!("case {case} of part {number}: {broken}\n\n{example:?}\n")
        });
    }
    let found: Vec<String> = found.into_values().collect();
    assert!(found.is_empty(), "{} rules were broken\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_first_part_of_http1_keeps_the_rules() {
    part(0, message::sequences());
}

#[test]
fn the_second_part_of_http1_keeps_the_rules() {
    part(1, message::sequences());
}

#[test]
fn the_third_part_of_http1_keeps_the_rules() {
    part(2, message::sequences());
}

#[test]
fn http2_keeps_the_rules() {
    part(3, streams::sequences());
}
