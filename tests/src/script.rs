//! A body that follows a script, and records each call.

use std::collections::VecDeque;

use crate::Journal;

/// One step of a body.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A chunk.
    Chunk(&'static str),
    /// An error in place of a chunk.
    Fail,
    /// A panic while the next chunk is made.
    Panic,
}

/// A body that yields its steps. It records `next` for each call, and `close` when it is dropped.
#[derive(Debug)]
pub struct Script {
    steps: VecDeque<Step>,
    journal: Journal,
    panics_when_dropped: bool,
}

impl Script {
    /// A body of these steps.
    pub fn new(journal: &Journal, steps: &[Step]) -> Self {
        Self { steps: steps.iter().copied().collect(), journal: journal.clone(), panics_when_dropped: false }
    }

    /// The same body, with a destructor that panics after it has recorded `close`.
    #[must_use]
    pub fn panicking_when_dropped(mut self) -> Self {
        self.panics_when_dropped = true;
        self
    }
}

impl Iterator for Script {
    type Item = std::io::Result<&'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.journal.note("next");
        match self.steps.pop_front()? {
            Step::Chunk(text) => Some(Ok(text)),
            Step::Fail => Some(Err(std::io::Error::other("scripted failure"))),
            Step::Panic => panic!("scripted panic"),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.steps.len(), Some(self.steps.len()))
    }
}

impl ExactSizeIterator for Script {}

impl Drop for Script {
    fn drop(&mut self) {
        self.journal.note("close");
        assert!(!self.panics_when_dropped, "scripted panic in drop");
    }
}
