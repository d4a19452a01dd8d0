//! The line of a pool: who is let in, and whose turn it is.
//!
//! Jobs come by lanes. A lane may have threads reserved, with its share of the line, so that whatever the others do, so many of its
//! jobs find a thread and so many more a place; and it may have a cap on what it has in flight. All else is common: jobs
//! run in order of arrival, across all lanes that may start one.
//!
//! Policy only: exact under the lock of the [`Queue`](super::Queue), and without threads or time.
//!
//! Threads: any; under the lock of the queue.

use std::collections::VecDeque;

/// A lane of a [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneId(usize);

/// Where jobs come from that have no lane of their own.
pub(crate) const COMMON: LaneId = LaneId(0);

/// What a lane has for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// Threads that are kept for it.
    pub(crate) reserved: usize,
    /// The most jobs that it may have in line and on threads together.
    pub(crate) most: usize,
}

impl Default for Share {
    fn default() -> Self {
        Self { reserved: 0, most: usize::MAX }
    }
}

#[derive(Debug)]
pub(crate) struct Line<T> {
    lanes: Vec<Lane<T>>,
    /// The number of the next job, across all lanes.
    next: u64,
    /// The most threads.
    threads: usize,
    /// How many jobs may wait while all threads are busy.
    places: usize,
    /// How many wait, whether or not there is a thread for them.
    queued: usize,
}

#[derive(Debug)]
struct Lane<T> {
    /// In order of arrival, with their numbers.
    jobs: VecDeque<(u64, T)>,
    running: usize,
    share: Share,
    /// Nobody will send anything by it again.
    is_closed: bool,
}

impl<T> Lane<T> {
    fn new(share: Share) -> Self {
        Self { jobs: VecDeque::new(), running: 0, share, is_closed: false }
    }

    fn in_flight(&self) -> usize {
        self.jobs.len() + self.running
    }
}

impl<T> Line<T> {
    pub(crate) fn new(threads: usize, places: usize) -> Self {
        Self { lanes: vec![Lane::new(Share::default())], next: 0, threads, places, queued: 0 }
    }

    /// Sets what there is to share.
    pub(crate) fn resize(&mut self, threads: usize, places: usize) {
        (self.threads, self.places) = (threads, places);
    }

    /// How many threads are reserved, by all lanes together.
    pub(crate) fn reserved(&self) -> usize {
        self.lanes.iter().map(|lane| lane.share.reserved).sum()
    }

    pub(crate) fn open(&mut self, share: Share) -> LaneId {
        let free = self.lanes.iter().position(|lane| lane.is_closed && lane.in_flight() == 0);
        match free {
            Some(at) => {
                self.lanes[at] = Lane::new(share);
                LaneId(at)
            }
            None => {
                self.lanes.push(Lane::new(share));
                LaneId(self.lanes.len() - 1)
            }
        }
    }

    /// Gives back what a lane had for itself. What it has in line still runs.
    pub(crate) fn close(&mut self, LaneId(at): LaneId) {
        let lane = &mut self.lanes[at];
        lane.share.reserved = 0;
        lane.is_closed = true;
    }

    /// Whether a job that comes by this lane is let in.
    pub(crate) fn has_room(&self, LaneId(at): LaneId) -> bool {
        let lane = &self.lanes[at];
        let in_flight = lane.in_flight();
        if in_flight >= lane.share.most {
            return false;
        }
        if in_flight < self.own_places(lane) {
            return true;
        }
        let (mut own, mut common) = (0_usize, 0_usize);
        for lane in &self.lanes {
            own += self.own_places(lane);
            common += lane.in_flight().saturating_sub(self.own_places(lane));
        }
        common < self.threads.saturating_add(self.places).saturating_sub(own)
    }

    /// The places that a reservation keeps: the threads, and as much of the line as they are of all threads. Rounded down, so that
    /// many small ones leave something to the rest.
    fn own_places(&self, lane: &Lane<T>) -> usize {
        let reserved = lane.share.reserved;
        if reserved == 0 {
            return 0;
        }
        reserved.saturating_add(self.places.saturating_mul(reserved) / self.threads.max(1))
    }

    /// Whether there is a thread for each job of this lane, beside what is kept for others.
    pub(crate) fn has_thread(&self, LaneId(at): LaneId) -> bool {
        let beyond = |lane: &Lane<T>| lane.in_flight().saturating_sub(lane.share.reserved);
        beyond(&self.lanes[at]) == 0
            || self.lanes.iter().map(beyond).sum::<usize>() <= self.threads.saturating_sub(self.reserved())
    }

    /// Puts a job at the end of the line.
    pub(crate) fn push(&mut self, LaneId(at): LaneId, job: T) {
        self.lanes[at].jobs.push_back((self.next, job));
        self.next += 1;
        self.queued += 1;
    }

    /// The lane whose turn it is: of those that may have another thread, the one whose first job has waited longest.
    fn first(&self) -> Option<usize> {
        if self.queued == 0 {
            return None;
        }
        let beyond: usize = self.lanes.iter().map(|lane| lane.running.saturating_sub(lane.share.reserved)).sum();
        let common_is_free = beyond < self.threads.saturating_sub(self.reserved());
        let ready = self.lanes.iter().enumerate().filter_map(|(at, lane)| {
            let (number, _) = lane.jobs.front()?;
            (common_is_free || lane.running < lane.share.reserved).then_some((*number, at))
        });
        ready.min().map(|(_, at)| at)
    }

    /// Whether there is a job that may have a thread now.
    pub(crate) fn is_ready(&self) -> bool {
        self.first().is_some()
    }

    /// Takes the next job off the line, to run it.
    pub(crate) fn pop(&mut self) -> Option<(LaneId, T)> {
        let at = self.first()?;
        let lane = &mut self.lanes[at];
        let (_, job) = lane.jobs.pop_front()?;
        lane.running += 1;
        self.queued -= 1;
        Some((LaneId(at), job))
    }

    /// A job of this lane has ended.
    pub(crate) fn finished(&mut self, LaneId(at): LaneId) {
        self.lanes[at].running -= 1;
    }

    /// Those who wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.lanes.iter().flat_map(|lane| &lane.jobs).map(|(_, job)| job)
    }

    /// How many jobs wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Takes those out of line that nobody waits for any more. They are given back, to be dropped outside the lock.
    pub(crate) fn take_out(&mut self, is_obsolete: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for lane in &mut self.lanes {
            if !lane.jobs.iter().any(|(_, job)| is_obsolete(job)) {
                continue;
            }
            let (gone, stay) = std::mem::take(&mut lane.jobs).into_iter().partition(|(_, job)| is_obsolete(job));
            lane.jobs = stay;
            let gone: VecDeque<(u64, T)> = gone;
            out.extend(gone.into_iter().map(|(_, job)| job));
        }
        self.queued -= out.len();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(line: &mut Line<u32>, lane: LaneId) -> u32 {
        let mut filled = 0;
        while line.has_room(lane) {
            line.push(lane, filled);
            filled += 1;
        }
        filled
    }

    /// POOL-05, POOL-07.
    #[test]
    fn a_line_holds_one_job_for_each_thread_and_place_and_keeps_their_order() {
        let mut line = Line::new(2, 3);
        assert_eq!(fill(&mut line, COMMON), 5);
        assert_eq!(line.pop(), Some((COMMON, 0)));
        assert_eq!(line.pop(), Some((COMMON, 1)));
        // Both threads are taken.
        assert_eq!(line.pop(), None);
        assert!(!line.has_room(COMMON));
        line.finished(COMMON);
        assert!(line.has_room(COMMON));
        assert_eq!(line.pop(), Some((COMMON, 2)));
    }

    /// POOL-20: whatever the others do, a reservation has its threads, and its share of the line.
    #[test]
    fn a_reservation_survives_a_saturated_neighbour() {
        let mut line = Line::new(4, 8);
        let critical = line.open(Share { reserved: 1, ..Share::default() });
        // All threads and places but the one thread and the two places of the other lane.
        assert_eq!(fill(&mut line, COMMON), 9);
        for number in 0..3 {
            assert_eq!(line.pop(), Some((COMMON, number)));
        }
        assert_eq!(line.pop(), None);
        assert_eq!(fill(&mut line, critical), 3);
        assert_eq!(line.pop(), Some((critical, 0)));
        assert_eq!(line.pop(), None);
        line.finished(critical);
        assert_eq!(line.pop(), Some((critical, 1)));
    }

    /// POOL-05: a lane with a reservation has its turn at the common threads, too, in order of arrival.
    #[test]
    fn order_of_arrival_is_kept_across_lanes() {
        let mut line = Line::new(3, 9);
        let critical = line.open(Share { reserved: 1, ..Share::default() });
        for (lane, job) in [(COMMON, 0), (critical, 1), (critical, 2), (COMMON, 3)] {
            line.push(lane, job);
        }
        assert_eq!(line.pop(), Some((COMMON, 0)));
        assert_eq!(line.pop(), Some((critical, 1)));
        assert_eq!(line.pop(), Some((critical, 2)));
        assert_eq!(line.pop(), None);
        // One of its two is on a common thread, which is free now.
        line.finished(critical);
        assert_eq!(line.pop(), Some((COMMON, 3)));
    }

    /// POOL-20: many small reservations leave the others the threads that are not reserved, and places.
    #[test]
    fn reservations_do_not_take_the_room_of_the_rest() {
        let mut line = Line::new(4, 1);
        for _ in 0..3 {
            line.open(Share { reserved: 1, ..Share::default() });
        }
        assert_eq!(fill(&mut line, COMMON), 2);
    }

    /// POOL-20: a cap counts what waits and what runs.
    #[test]
    fn a_cap_bounds_what_a_lane_has_in_flight() {
        let mut line = Line::new(4, 8);
        let capped = line.open(Share { most: 2, ..Share::default() });
        assert_eq!(fill(&mut line, capped), 2);
        assert_eq!(line.pop(), Some((capped, 0)));
        assert!(!line.has_room(capped));
        assert!(line.has_room(COMMON));
        line.finished(capped);
        assert!(line.has_room(capped));
    }

    /// A lane that is closed gives its reservation back, runs what it has, and makes room for another.
    #[test]
    fn a_closed_lane_gives_back_what_it_had() {
        let mut line = Line::new(1, 4);
        let first = line.open(Share { reserved: 1, ..Share::default() });
        line.push(COMMON, 0);
        line.push(first, 1);
        assert_eq!(line.pop(), Some((first, 1)));
        line.close(first);
        assert_eq!(line.pop(), None);
        line.finished(first);
        assert_eq!(line.pop(), Some((COMMON, 0)));
        assert_eq!(line.open(Share::default()), first);
        assert_eq!(line.reserved(), 0);
    }

    /// DISC-05.
    #[test]
    fn those_who_are_taken_out_of_line_leave_their_places() {
        let mut line = Line::new(1, 2);
        assert_eq!(fill(&mut line, COMMON), 3);
        assert_eq!(line.take_out(|job| *job == 1), [1]);
        assert_eq!(line.queued(), 2);
        assert!(line.has_room(COMMON));
        assert_eq!(line.pop(), Some((COMMON, 0)));
        line.finished(COMMON);
        assert_eq!(line.pop(), Some((COMMON, 2)));
    }
}
