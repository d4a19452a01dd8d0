//! The admission policy of a pool: which jobs are admitted, and which job runs next.
//!
//! Each job belongs to a share. A share may reserve threads, together with a proportional part of the queue, so that
//! the load of other shares cannot take them. A share may also have a cap on its jobs in flight. All other threads, and
//! the rest of the queue, are common: jobs run in order of arrival, across all shares that may start one.
//!
//! Policy only, without threads or time. The lock of the [`Queue`](super::Queue) makes each decision exact.
//!
//! Threads: any; under the lock of the queue.

use std::collections::VecDeque;

/// A share of an [`AdmissionQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShareId(usize);

/// The share of all jobs that have no share of their own.
pub(crate) const DEFAULT_SHARE: ShareId = ShareId(0);

/// The reservation and the cap of a share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareLimits {
    /// Threads that only this share may use.
    pub(crate) reserved: usize,
    /// The most jobs of this share, queued and running together.
    pub(crate) max_in_flight: usize,
}

impl Default for ShareLimits {
    fn default() -> Self {
        Self { reserved: 0, max_in_flight: usize::MAX }
    }
}

#[derive(Debug)]
pub(crate) struct AdmissionQueue<T> {
    shares: Vec<ShareQueue<T>>,
    /// The number of the next job, across all shares.
    next: u64,
    /// The maximum number of threads.
    threads: usize,
    /// How many jobs may wait while all threads are busy.
    queue_limit: usize,
    /// How many jobs are queued, with or without a thread to run them.
    queued: usize,
}

#[derive(Debug)]
struct ShareQueue<T> {
    /// In order of arrival, each with its number.
    jobs: VecDeque<(u64, T)>,
    running: usize,
    limits: ShareLimits,
    /// No job will be pushed to this share again.
    is_closed: bool,
}

impl<T> ShareQueue<T> {
    fn new(limits: ShareLimits) -> Self {
        Self { jobs: VecDeque::new(), running: 0, limits, is_closed: false }
    }

    fn in_flight(&self) -> usize {
        self.jobs.len() + self.running
    }
}

impl<T> AdmissionQueue<T> {
    pub(crate) fn new(threads: usize, queue_limit: usize) -> Self {
        Self { shares: vec![ShareQueue::new(ShareLimits::default())], next: 0, threads, queue_limit, queued: 0 }
    }

    /// Changes the number of threads and the limit of the queue.
    pub(crate) fn resize(&mut self, threads: usize, queue_limit: usize) {
        (self.threads, self.queue_limit) = (threads, queue_limit);
    }

    /// How many threads are reserved, by all shares together.
    pub(crate) fn reserved(&self) -> usize {
        self.shares.iter().map(|share| share.limits.reserved).sum()
    }

    pub(crate) fn open(&mut self, limits: ShareLimits) -> ShareId {
        let free = self.shares.iter().position(|share| share.is_closed && share.in_flight() == 0);
        match free {
            Some(at) => {
                self.shares[at] = ShareQueue::new(limits);
                ShareId(at)
            }
            None => {
                self.shares.push(ShareQueue::new(limits));
                ShareId(self.shares.len() - 1)
            }
        }
    }

    /// Releases the reservation of a share. Its queued jobs still run.
    pub(crate) fn close(&mut self, ShareId(at): ShareId) {
        let share = &mut self.shares[at];
        share.limits.reserved = 0;
        share.is_closed = true;
    }

    /// Whether a job of this share would be admitted.
    pub(crate) fn has_room(&self, ShareId(at): ShareId) -> bool {
        let share = &self.shares[at];
        let in_flight = share.in_flight();
        if in_flight >= share.limits.max_in_flight {
            return false;
        }
        if in_flight < self.guaranteed(share) {
            return true;
        }
        let (mut guaranteed, mut common) = (0_usize, 0_usize);
        for share in &self.shares {
            guaranteed += self.guaranteed(share);
            common += share.in_flight().saturating_sub(self.guaranteed(share));
        }
        common < self.threads.saturating_add(self.queue_limit).saturating_sub(guaranteed)
    }

    /// Jobs in flight that a reservation guarantees: the reserved threads, and the same fraction of the queue as they
    /// are of all threads. Rounded down, so that many small reservations leave a part of the queue common.
    fn guaranteed(&self, share: &ShareQueue<T>) -> usize {
        let reserved = share.limits.reserved;
        if reserved == 0 {
            return 0;
        }
        reserved.saturating_add(self.queue_limit.saturating_mul(reserved) / self.threads.max(1))
    }

    /// Whether each job of this share has a thread, without the threads that are reserved for others.
    pub(crate) fn has_thread(&self, ShareId(at): ShareId) -> bool {
        let beyond = |share: &ShareQueue<T>| share.in_flight().saturating_sub(share.limits.reserved);
        beyond(&self.shares[at]) == 0
            || self.shares.iter().map(beyond).sum::<usize>() <= self.threads.saturating_sub(self.reserved())
    }

    /// Counts a job of this share as running, if no other job is queued and it may start now.
    pub(crate) fn start_at_once(&mut self, ShareId(at): ShareId) -> bool {
        let starts = self.queued == 0 && Self::may_start(&self.shares[at], self.common_is_free());
        self.shares[at].running += usize::from(starts);
        starts
    }

    /// Appends a job to the queue of its share.
    pub(crate) fn push(&mut self, ShareId(at): ShareId, job: T) {
        self.shares[at].jobs.push_back((self.next, job));
        self.next += 1;
        self.queued += 1;
    }

    /// The share that runs next: of all shares that may use another thread, the share with the oldest queued job.
    fn first(&self) -> Option<usize> {
        if self.queued == 0 {
            return None;
        }
        let common_is_free = self.common_is_free();
        let ready = self.shares.iter().enumerate().filter_map(|(at, share)| {
            let (number, _) = share.jobs.front()?;
            Self::may_start(share, common_is_free).then_some((*number, at))
        });
        ready.min().map(|(_, at)| at)
    }

    /// Whether a thread is free that no share has reserved.
    fn common_is_free(&self) -> bool {
        let beyond: usize = self.shares.iter().map(|share| share.running.saturating_sub(share.limits.reserved)).sum();
        beyond < self.threads.saturating_sub(self.reserved())
    }

    fn may_start(share: &ShareQueue<T>, common_is_free: bool) -> bool {
        common_is_free || share.running < share.limits.reserved
    }

    /// Whether a queued job may start now.
    pub(crate) fn is_ready(&self) -> bool {
        self.first().is_some()
    }

    /// Removes the next job from the queue, to run it.
    pub(crate) fn pop(&mut self) -> Option<(ShareId, T)> {
        let at = self.first()?;
        let share = &mut self.shares[at];
        let (_, job) = share.jobs.pop_front()?;
        share.running += 1;
        self.queued -= 1;
        Some((ShareId(at), job))
    }

    /// A job of this share has ended.
    pub(crate) fn finished(&mut self, ShareId(at): ShareId) {
        self.shares[at].running -= 1;
    }

    /// The queued jobs.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.shares.iter().flat_map(|share| &share.jobs).map(|(_, job)| job)
    }

    /// How many jobs of this share are queued.
    #[cfg(all(any(test, gateway_fuzz), not(gateway_loom)))]
    pub(crate) fn waiting_in(&self, ShareId(at): ShareId) -> usize {
        self.shares[at].jobs.len()
    }

    /// How many jobs are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Removes the obsolete jobs. The caller drops them outside the lock: their destructors are foreign code.
    pub(crate) fn take_out(&mut self, is_obsolete: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for share in &mut self.shares {
            if !share.jobs.iter().any(|(_, job)| is_obsolete(job)) {
                continue;
            }
            let (gone, stay) = std::mem::take(&mut share.jobs).into_iter().partition(|(_, job)| is_obsolete(job));
            share.jobs = stay;
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

    fn fill(queue: &mut AdmissionQueue<u32>, share: ShareId) -> u32 {
        let mut filled = 0;
        while queue.has_room(share) {
            queue.push(share, filled);
            filled += 1;
        }
        filled
    }

    /// POOL-05, POOL-07.
    #[test]
    fn a_queue_admits_up_to_its_limit_and_keeps_the_order_of_arrival() {
        let mut queue = AdmissionQueue::new(2, 3);
        assert_eq!(fill(&mut queue, DEFAULT_SHARE), 5);
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 0)));
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 1)));
        // Both threads are taken.
        assert_eq!(queue.pop(), None);
        assert!(!queue.has_room(DEFAULT_SHARE));
        queue.finished(DEFAULT_SHARE);
        assert!(queue.has_room(DEFAULT_SHARE));
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 2)));
    }

    /// POOL-20: the load of other shares cannot take reserved threads, nor the reserved part of the queue.
    #[test]
    fn a_saturated_share_cannot_take_a_reservation() {
        let mut queue = AdmissionQueue::new(4, 8);
        let critical = queue.open(ShareLimits { reserved: 1, ..ShareLimits::default() });
        // All threads and the whole queue, except the reserved thread and its two queued jobs.
        assert_eq!(fill(&mut queue, DEFAULT_SHARE), 9);
        for number in 0..3 {
            assert_eq!(queue.pop(), Some((DEFAULT_SHARE, number)));
        }
        assert_eq!(queue.pop(), None);
        assert_eq!(fill(&mut queue, critical), 3);
        assert_eq!(queue.pop(), Some((critical, 0)));
        assert_eq!(queue.pop(), None);
        queue.finished(critical);
        assert_eq!(queue.pop(), Some((critical, 1)));
    }

    /// POOL-05: jobs of a share with a reservation also run on common threads, in order of arrival.
    #[test]
    fn order_of_arrival_is_kept_across_shares() {
        let mut queue = AdmissionQueue::new(3, 9);
        let critical = queue.open(ShareLimits { reserved: 1, ..ShareLimits::default() });
        for (share, job) in [(DEFAULT_SHARE, 0), (critical, 1), (critical, 2), (DEFAULT_SHARE, 3)] {
            queue.push(share, job);
        }
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 0)));
        assert_eq!(queue.pop(), Some((critical, 1)));
        assert_eq!(queue.pop(), Some((critical, 2)));
        assert_eq!(queue.pop(), None);
        // Two jobs of this share ran, one of them on a common thread. That thread is free now.
        queue.finished(critical);
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 3)));
    }

    /// POOL-20: many small reservations leave the unreserved threads, and the rest of the queue, to the other shares.
    #[test]
    fn small_reservations_leave_the_rest_of_the_queue() {
        let mut queue = AdmissionQueue::new(4, 1);
        for _ in 0..3 {
            queue.open(ShareLimits { reserved: 1, ..ShareLimits::default() });
        }
        assert_eq!(fill(&mut queue, DEFAULT_SHARE), 2);
    }

    /// POOL-20: a cap counts queued and running jobs.
    #[test]
    fn a_cap_bounds_the_jobs_in_flight_of_a_share() {
        let mut queue = AdmissionQueue::new(4, 8);
        let capped = queue.open(ShareLimits { max_in_flight: 2, ..ShareLimits::default() });
        assert_eq!(fill(&mut queue, capped), 2);
        assert_eq!(queue.pop(), Some((capped, 0)));
        assert!(!queue.has_room(capped));
        assert!(queue.has_room(DEFAULT_SHARE));
        queue.finished(capped);
        assert!(queue.has_room(capped));
    }

    /// A closed share releases its reservation, its queued jobs still run, and its id is used again.
    #[test]
    fn a_closed_share_releases_its_reservation() {
        let mut queue = AdmissionQueue::new(1, 4);
        let first = queue.open(ShareLimits { reserved: 1, ..ShareLimits::default() });
        queue.push(DEFAULT_SHARE, 0);
        queue.push(first, 1);
        assert_eq!(queue.pop(), Some((first, 1)));
        queue.close(first);
        assert_eq!(queue.pop(), None);
        queue.finished(first);
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 0)));
        assert_eq!(queue.open(ShareLimits::default()), first);
        assert_eq!(queue.reserved(), 0);
    }

    /// DISC-05.
    #[test]
    fn obsolete_jobs_that_are_removed_make_room() {
        let mut queue = AdmissionQueue::new(1, 2);
        assert_eq!(fill(&mut queue, DEFAULT_SHARE), 3);
        assert_eq!(queue.take_out(|job| *job == 1), [1]);
        assert_eq!(queue.queued(), 2);
        assert!(queue.has_room(DEFAULT_SHARE));
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 0)));
        queue.finished(DEFAULT_SHARE);
        assert_eq!(queue.pop(), Some((DEFAULT_SHARE, 2)));
    }
}
