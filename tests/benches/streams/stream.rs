//! A stream: the bytes of one connection, and the timing with which they are sent.

use std::time::Duration;

use crate::dice::Dice;
use crate::draft::{Draft, index, pick};
use crate::mutation::{disturb, mutate};

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    /// The positions at which the bytes are split, and the pause at each.
    pub(crate) cuts: Vec<(usize, Duration)>,
    /// The pause before the probe.
    pub(crate) rest: Duration,
    /// The mutations of the requests.
    pub(crate) mutations: Vec<&'static str>,
}

/// Longer than the time after which a server releases the buffers of an idle connection.
const LONG: Duration = Duration::from_millis(1200);

impl Stream {
    /// Generates the stream with a number; the same seed gives the same stream.
    pub(crate) fn generate(seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number.wrapping_mul(0x9e6c_63d0_676a_9a99));
        let mut mutations = Vec::new();
        let requests = 1 + dice.below(4);
        let mut bytes = Vec::new();
        let count = [0, 0, 1, 1, 1, 2, 2, 3][index(&mut dice, 8)];
        let mut drafts: Vec<Draft> = (0..requests).map(|at| Draft::generate(&mut dice, number, at)).collect();
        let raw = count > 0 && dice.below(4) == 0;
        for _ in 0..count - u64::from(raw) {
            let at = index(&mut dice, drafts.len());
            mutations.push(mutate(&mut drafts[at], &mut dice));
        }
        let mut heads = Vec::new();
        for draft in &drafts {
            heads.push(bytes.len() + draft.head().len());
            bytes.extend(draft.bytes());
        }
        if raw {
            mutations.push(disturb(&mut bytes, &mut dice));
        }
        let mut cuts: Vec<(usize, Duration)> = (0..dice.below(5))
            .map(|_| {
                let pause = match dice.below(60) {
                    0 => LONG,
                    1..20 => Duration::from_millis(dice.below(20)),
                    _ => Duration::ZERO,
                };
                (index(&mut dice, bytes.len()), pause)
            })
            .collect();
        if dice.below(8) == 0 {
            // Pause after a request head, so that the body arrives when the server may already have answered.
            let at = *pick(&mut dice, &heads);
            cuts.push((at.min(bytes.len()), LONG));
        }
        cuts.sort_unstable();
        let rest = if dice.below(12) == 0 { LONG } else { Duration::ZERO };
        Self { number, bytes, cuts, rest, mutations }
    }

    /// The pieces in the order in which they are sent, each with the pause after it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (&[u8], Duration)> {
        let ends = self.cuts.iter().copied().chain([(self.bytes.len(), Duration::ZERO)]);
        let starts = [0].into_iter().chain(self.cuts.iter().map(|(at, _)| *at));
        starts.zip(ends).map(|(start, (end, pause))| (&self.bytes[start..end], pause))
    }

    /// The request that tests whether the connection is still usable.
    pub(crate) fn probe(&self) -> Vec<u8> {
        format!("GET /probe/{}.p HTTP/1.1\r\nHost: a\r\n\r\n", self.number).into_bytes()
    }
}
