//! Any history of a pool, single-stepped: the input plays every thread, the system and the clients.
//!
//! After each step no job is stranded; at the end every admitted job has run once, unless its client left or no thread
//! could be had.
//!
//! Threads: the caller's.

mod player;

use arbitrary::{Result, Unstructured};

use self::player::{Place, Pool};
use crate::pool::admission_queue::ShareLimits;
use crate::pool::thread_table::{ThreadState, WorkerId};
use crate::sync::lock;

impl Pool {
    /// One event.
    fn event(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let thread = |pool: &Self, input: &mut Unstructured<'_>, wanted: fn(&Place) -> bool| {
            let places = pool.threads.iter().enumerate().filter(|(_, (_, place))| wanted(place));
            let places: Vec<usize> = places.map(|(at, _)| at).collect();
            Result::Ok(if places.is_empty() { None } else { Some(places[input.choose_index(places.len())?]) })
        };
        match input.int_in_range(0..=15)? {
            0..=4 => self.push(input)?,
            5..=8 => {
                if let Some(at) = thread(self, input, Self::can_step)? {
                    self.step(at);
                }
            }
            // The timer of the watcher, or a spurious wakeup.
            9 => {
                if let Some(at) = thread(self, input, |place| matches!(place, Place::Waits { .. }))? {
                    match self.threads[at].1 {
                        Place::Waits { has_timer: true, .. } => {
                            let runnable = input.int_in_range(0..=4)?;
                            self.time_out(at, (runnable < 4).then_some(runnable));
                        }
                        _ => self.step(at),
                    }
                }
            }
            10 => {
                let fates = &mut *self.fates.borrow_mut();
                if !fates.has_left.is_empty() {
                    let at = input.choose_index(fates.has_left.len())?;
                    fates.has_left[at] = true;
                }
            }
            11 => {
                let (max, queue_limit) = (input.int_in_range(1..=4)?, input.int_in_range(0..=6)?);
                if let Ok(action) = self.queue.resize(0, max, queue_limit) {
                    self.max = max;
                    // All idle threads are notified, to look at the new limits.
                    for (_, place) in &mut self.threads {
                        if let Place::Waits { is_notified, .. } = place {
                            *is_notified = true;
                        }
                    }
                    self.perform(action);
                }
            }
            12 => self.change_shares(input)?,
            13 => match input.int_in_range(0..=3)? {
                0 if self.threads.len() < 8 => self.queue.want_drivers(1),
                1 => {
                    if let Some(id) = self.queue.join_driver() {
                        match self.refuses {
                            true => {
                                self.has_refused = true;
                                self.queue.refused_driver(id);
                            }
                            false => self.threads.push((id, Place::Drives)),
                        }
                    }
                }
                2 => self.hold(),
                _ => {
                    let drives = |place: &Place| matches!(place, Place::DrivesAndRuns(_));
                    if let Some(at) = thread(self, input, drives)? {
                        self.give_back(at);
                    }
                }
            },
            14 => {
                self.refuses = !self.refuses && input.ratio(1, 4)?;
                if !self.refuses {
                    lock(&self.queue.state).spawns_again = None;
                }
            }
            _ if input.ratio(1, 8)? => {
                self.queue.close();
                self.is_closed = true;
            }
            _ => {}
        }
        self.notify_chosen();
        Ok(())
    }

    fn change_shares(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        if self.shares.len() < 4 && input.arbitrary()? {
            let max_in_flight = if input.arbitrary()? { input.int_in_range(1..=4)? } else { usize::MAX };
            let limits = ShareLimits { reserved: input.int_in_range(0..=2)?, max_in_flight };
            if let Ok(share) = self.queue.open_share(limits) {
                self.shares.push((share, limits));
            }
        } else if self.shares.len() > 1 {
            let at = 1 + input.choose_index(self.shares.len() - 1)?;
            let (share, _) = self.shares.remove(at);
            let action = self.queue.close_share(share);
            self.perform(action);
        }
        Ok(())
    }

    /// While a queued job may start, a thread takes jobs afterwards, or watches.
    fn check(&self) {
        let state = lock(&self.queue.state);
        let counts = state.threads.counts();
        let allowed = state.concurrency.allowed();
        assert!((1..=self.max).contains(&allowed), "{allowed} threads allowed of {}", self.max);
        assert!(counts.busy <= counts.active && counts.active <= counts.live, "{counts:?}");
        let waits = |id: WorkerId| {
            let place = self.threads.iter().find(|(known, _)| *known == id).map(|(_, place)| place);
            place.unwrap_or_else(|| panic!("{id:?} is no thread"))
        };
        for (id, place) in &self.threads {
            let is_chosen = matches!(state.threads.state(*id), ThreadState::Waking);
            assert!(!is_chosen || Self::can_step(place), "{id:?} was chosen and not notified");
        }
        if !state.queue.is_ready() {
            return;
        }
        let comes_back = |place: &Place| matches!(place, Place::Runs(_) | Place::DrivesAndRuns(_) | Place::Leaves);
        let is_watched = state.watcher.is_some_and(|id| {
            let place = waits(id);
            Self::can_step(place) || matches!(place, Place::Waits { has_timer: true, .. })
        });
        let waking = self.threads.iter().any(|(id, place)| {
            comes_back(place)
                || matches!(place, Place::Started) && !matches!(state.threads.state(*id), ThreadState::Idle)
        });
        let notified = self.threads.iter().any(|(_, place)| matches!(place, Place::Waits { is_notified: true, .. }));
        assert!(is_watched || waking || notified, "{} jobs are stranded: {:?}", state.queue.queued(), self.threads);
    }

    /// Nothing comes any more, and every thread goes on until nothing is left to do.
    fn run_out(&mut self) {
        self.refuses = false;
        lock(&self.queue.state).spawns_again = None;
        for _ in 0..10_000 {
            self.notify_chosen();
            self.check();
            if let Some(at) = self.threads.iter().position(|(_, place)| Self::can_step(place)) {
                self.step(at);
            } else if let Some(at) =
                self.threads.iter().position(|(_, place)| matches!(place, Place::Waits { has_timer: true, .. }))
                && lock(&self.queue.state).queue.queued() > 0
            {
                self.time_out(at, Some(0));
            } else {
                return;
            }
        }
        panic!("the pool does not come to rest");
    }
}

/// One history.
pub(crate) fn check(bytes: &[u8]) {
    let _ = run(&mut Unstructured::new(bytes));
}

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let mut pool = Pool::new(input)?;
    while !input.is_empty() && pool.fates.borrow().ran.len() < 200 {
        let events = pool.event(input);
        pool.notify_chosen();
        pool.check();
        events?;
    }
    pool.run_out();
    let left = lock(&pool.queue.state).queue.queued();
    assert_eq!(left, 0, "jobs are left: {:?}", pool.threads);
    let fates = pool.fates.borrow();
    for (number, ran) in fates.ran.iter().enumerate() {
        assert!(*ran <= 1, "job {number} ran {ran} times");
        let may_not_run = !fates.admitted[number] || fates.has_left[number] || fates.orphaned[number];
        assert!(*ran == 1 || may_not_run, "job {number} was admitted, and did not run");
        assert!(fates.dropped[number], "job {number} was lost");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fuzz_corpora::replay;

    /// POOL-06, POOL-20.
    #[test]
    fn no_history_strands_a_job() {
        replay("scheduler", super::check);
    }
}
