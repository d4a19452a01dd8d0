//! What a driver does next.
//!
//! Threads: drivers; never blocks.

use crate::pool::drivers::driver_slot::{Closed, DriverSlot};
use crate::pool::drivers::run_queue::{Next, RunQueue};

/// After this many polls and jobs the reactor is looked at, even if the run queue is never empty.
pub(super) const POLLS_PER_LOOK: u32 = 61;

/// How often in a row the slot of the driver comes before the run queue.
pub(super) const MOST_IN_A_ROW: u32 = 8;

/// The steps of a driver, and what it counts between them.
#[derive(Default)]
pub(super) struct Steps {
    /// Polls and jobs since the last look at the reactor.
    polls: u32,
    /// Tasks from the slot since the run queue was asked.
    in_a_row: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<T, J> {
    /// Run this job.
    Run(J),
    /// What the run queue says. Its task may come from the slot.
    Other(Next<T>),
    /// Drive no more: the slot is closed.
    Held,
}

impl Steps {
    /// The next step, which counts as begun.
    pub(super) fn next<T, J>(&mut self, slot: &DriverSlot<T, J>, queue: &RunQueue<T>) -> Step<T, J> {
        let (woken, made) = match slot.take() {
            Ok(hand) => hand,
            Err(Closed) => return Step::Held,
        };
        if let Some(job) = made {
            // Not behind the job: the task goes where the other drivers find it.
            if let Some(task) = woken {
                queue.push(task);
            }
            queue.hand_over();
            self.polls += 1;
            slot.begin_turn();
            return Step::Run(job);
        }
        let next = match woken {
            Some(task) if self.in_a_row < MOST_IN_A_ROW => {
                self.in_a_row += 1;
                Next::Poll(task)
            }
            woken => {
                // Behind the others.
                if let Some(task) = woken {
                    queue.push(task);
                }
                self.in_a_row = 0;
                let is_due = self.polls >= POLLS_PER_LOOK;
                if is_due {
                    // If another driver leads, the look is its.
                    self.polls = 0;
                }
                if is_due && queue.try_lead() { Next::Look } else { queue.next() }
            }
        };
        match next {
            Next::Poll(_) => {
                self.polls += 1;
                slot.begin_turn();
            }
            Next::Lead | Next::Look => self.polls = 0,
            Next::Sleep | Next::End => {}
        }
        Step::Other(next)
    }

    /// The last poll has had its share of reads and writes: it counts as all that come before a look.
    pub(super) fn count_long_poll(&mut self) {
        self.polls = POLLS_PER_LOOK;
    }
}
