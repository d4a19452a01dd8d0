//! Threads: the test's.

use super::*;

const SHORT: Duration = Duration::from_micros(3);
const LONG: Duration = Duration::from_millis(50);

/// The limit of a pool whose jobs have all taken `took`.
fn limit(threads: usize, parallelism: usize, took: Duration) -> ConcurrencyLimit {
    let mut concurrency = ConcurrencyLimit::new(threads, parallelism, false);
    for _ in 0..200 {
        concurrency.served(took);
    }
    concurrency
}

/// So many active threads, none of them waking, with jobs that are neither slow nor long.
fn active(active: usize) -> ThreadCounts {
    ThreadCounts { active, ..ThreadCounts::default() }
}

fn waking(waking: usize) -> ThreadCounts {
    ThreadCounts { waking, ..active(waking) }
}

/// Takes a sample of a queue that was not drained.
fn sample(concurrency: &mut ConcurrencyLimit, threads: ThreadCounts, runnable: usize) {
    concurrency.was_drained = false;
    concurrency.sample(threads, Some(runnable));
}

fn sample_twice(concurrency: &mut ConcurrencyLimit, threads: ThreadCounts, runnable: usize) {
    (0..2).for_each(|_| sample(concurrency, threads, runnable));
}

/// The active threads that are left once those beyond the limit have become idle.
fn remaining(concurrency: &ConcurrencyLimit, mut threads: ThreadCounts) -> ThreadCounts {
    while !concurrency.may_take_job(threads) {
        threads.active -= 1;
    }
    threads
}

#[test]
fn one_thread_is_waking_at_a_time() {
    let concurrency = limit(64, 2, SHORT);
    assert!(concurrency.wants_another(active(0), 1));
    assert!(!concurrency.wants_another(waking(1), 63));
    assert!(concurrency.wants_another(active(1), 62));
}

#[test]
fn each_queued_job_has_a_waking_thread_if_jobs_are_slow() {
    let concurrency = limit(64, 2, LONG);
    for count in 0..64 {
        assert!(!concurrency.wants_another(waking(count), count));
        assert!(concurrency.wants_another(waking(count), count + 1));
    }
    // All threads are waking.
    assert!(!concurrency.wants_another(waking(64), 100));
}

#[test]
fn a_thread_that_would_come_too_late_is_not_woken() {
    let concurrency = limit(64, 2, SHORT);
    assert!(!concurrency.wants_another(active(1), 10));
    assert!(concurrency.wants_another(active(1), 20));
    assert!(concurrency.allows_another(active(1)));
    // Two threads empty the queue twice as fast, and there are two CPUs.
    assert!(!concurrency.wants_another(active(2), 20) && !concurrency.wants_another(active(2), 1000));
    assert!(concurrency.allows_another(active(2)));
}

#[test]
fn jobs_that_block_get_all_threads() {
    let mut concurrency = limit(64, 2, LONG);
    concurrency.allowed = 2;
    let (mut threads, mut samples) = (active(2), 0);
    while concurrency.allowed < 64 {
        assert!(!concurrency.wants_another(threads, 256));
        sample(&mut concurrency, threads, 0);
        samples += 1;
        while concurrency.wants_another(threads, 256) {
            threads.active += 1;
        }
    }
    assert_eq!(samples, 5);
}

#[test]
fn jobs_that_compute_get_a_thread_for_each_cpu() {
    let mut concurrency = limit(64, 2, LONG);
    sample_twice(&mut concurrency, active(64), 64);
    assert_eq!((concurrency.allowed, remaining(&concurrency, active(64))), (2, active(2)));
}

#[test]
fn threads_that_wake_at_the_same_time_by_chance_do_not_lower_the_limit() {
    let mut concurrency = limit(64, 2, LONG);
    for runnable in [0, 3, 0, 64, 1, 2] {
        sample(&mut concurrency, active(64), runnable);
        assert_eq!(concurrency.allowed, 64);
    }
    // A sample in doubt is repeated soon.
    assert_eq!(concurrency.pause(), SAMPLE_INTERVAL);
}

/// Under the lock of an interpreter, one thread runs and all others wait for the lock as if blocked; but one is always
/// runnable.
#[test]
fn threads_that_wait_for_each_other_lower_the_limit() {
    let mut concurrency = limit(64, 1, LONG);
    let (mut threads, mut samples) = (active(64), 0);
    while threads.active > 1 {
        sample(&mut concurrency, threads, 1);
        samples += 1;
        threads = remaining(&concurrency, threads);
        assert!(samples < 64, "{threads:?}");
    }
}

/// If threads wait for CPUs, another thread would add contention.
#[test]
fn single_jobs_that_were_delayed_do_not_raise_the_median() {
    let mut concurrency = limit(64, 2, SHORT);
    for number in 0..400 {
        concurrency.served(if number % 10 == 0 { Duration::from_millis(3) } else { SHORT });
    }
    assert!(concurrency.average() > WAKE_UP);
    assert!(!concurrency.wants_another(active(1), 5));
}

/// Endless jobs, one for each CPU.
#[test]
fn threads_with_long_jobs_do_not_count() {
    let mut concurrency = limit(64, 2, SHORT);
    sample_twice(&mut concurrency, active(2), 2);
    assert_eq!(concurrency.allowed, 2);
    assert!(!concurrency.allows_another(active(2)));
    assert_eq!(concurrency.long_after(), SHORTEST_LONG);
    let threads = ThreadCounts { slow: 2, long: 2, ..active(2) };
    sample(&mut concurrency, threads, 0);
    assert!(concurrency.wants_another(threads, 1) && concurrency.allows_another(threads));
    // One of them ends, and its thread exceeds the limit.
    concurrency.allowed = 2;
    assert!(!concurrency.may_take_job(ThreadCounts { slow: 1, long: 1, ..active(4) }));
}

#[test]
fn the_limit_rises_once_no_job_waits() {
    let mut concurrency = limit(64, 2, LONG);
    concurrency.allowed = 2;
    concurrency.drained();
    concurrency.sample(active(2), Some(2));
    assert_eq!(concurrency.allowed, 4);
}

/// Otherwise a burst of short jobs under the lock of an interpreter would wake all threads, which would take turns and
/// take longer.
#[test]
fn the_limit_of_contended_threads_begins_at_the_parallelism() {
    for parallelism in [1, 2, 100] {
        assert_eq!(ConcurrencyLimit::new(64, parallelism, true).allowed, parallelism.min(64));
        assert_eq!(ConcurrencyLimit::new(64, parallelism, false).allowed, 64);
    }
}

#[test]
fn the_limit_of_contended_threads_rises_only_if_jobs_block() {
    let mut concurrency = ConcurrencyLimit::new(64, 2, true);
    for _ in 0..3 {
        concurrency.drained();
        concurrency.sample(active(2), Some(2));
        assert_eq!((concurrency.allowed, concurrency.pause()), (2, SAMPLE_INTERVAL));
    }
    // The jobs of the next burst block.
    concurrency.drained();
    concurrency.sample(active(2), Some(1));
    assert_eq!(concurrency.allowed, 4);
}

#[test]
fn the_limit_of_contended_threads_does_not_rise_with_their_number() {
    let mut concurrency = ConcurrencyLimit::new(4, 2, true);
    concurrency.resize(64);
    assert_eq!(concurrency.allowed, 2);
    concurrency.allowed = 64;
    concurrency.resize(8);
    assert_eq!(concurrency.allowed, 8);
}

/// Blocked threads do not come back for the queued jobs.
#[test]
fn threads_with_slow_jobs_are_not_expected_back() {
    let concurrency = limit(64, 2, SHORT);
    assert!(!concurrency.wants_another(active(2), 1));
    assert!(concurrency.wants_another(ThreadCounts { slow: 2, ..active(2) }, 1));
    assert!(!concurrency.wants_another(ThreadCounts { slow: 2, ..active(3) }, 1));
    assert!(!concurrency.wants_another(ThreadCounts { slow: 1, ..active(3) }, 1000));
}

#[test]
fn samples_that_change_nothing_become_rare() {
    let mut concurrency = limit(64, 2, LONG);
    (0..10).for_each(|_| sample(&mut concurrency, active(64), 0));
    assert_eq!((concurrency.allowed, concurrency.pause()), (64, LONGEST_SAMPLE_INTERVAL));
    sample_twice(&mut concurrency, active(64), 64);
    assert_eq!((concurrency.allowed, concurrency.pause()), (2, SAMPLE_INTERVAL));
}

/// By the measured CPU time, as threads that sleep for the same time wake together.
#[test]
fn jobs_block_if_the_active_threads_leave_most_cpus_idle() {
    let mut concurrency = limit(64, 2, LONG);
    // Nothing is measured yet.
    assert!(!concurrency.jobs_block(active(64)));
    (0..100).for_each(|_| concurrency.computed(0.005));
    assert!(concurrency.jobs_block(active(64)));
    // The threads take turns on both CPUs; a few measurements suffice.
    (0..8).for_each(|_| concurrency.computed(2.0 / 64.0));
    assert!(!concurrency.jobs_block(active(64)));
    // One thread has a CPU for itself.
    (0..100).for_each(|_| concurrency.computed(0.005));
    concurrency.computed(1.0);
    assert!(!concurrency.jobs_block(active(64)));
}

/// The average was measured with more active threads.
#[test]
fn whether_jobs_block_is_unknown_below_the_maximum_of_threads() {
    let mut concurrency = limit(64, 2, LONG);
    (0..100).for_each(|_| concurrency.computed(2.0 / 64.0));
    sample_twice(&mut concurrency, active(64), 64);
    assert_eq!(remaining(&concurrency, active(64)), active(2));
    for count in 2..64 {
        assert!(!concurrency.jobs_block(active(count)), "{count} are active");
    }
}

/// Threads that sleep often appear runnable by chance, and each sample costs time.
#[test]
fn samples_that_see_chance_become_rare_as_well() {
    let mut concurrency = limit(64, 2, LONG);
    for _ in 0..10 {
        sample(&mut concurrency, active(64), 2);
        assert_eq!((concurrency.allowed, concurrency.pause()), (64, SAMPLE_INTERVAL));
        concurrency.sample(active(64), Some(1));
    }
    assert_eq!((concurrency.allowed, concurrency.pause()), (64, LONGEST_SAMPLE_INTERVAL));
}

#[test]
fn without_run_states_the_limit_is_all_threads() {
    let mut concurrency = limit(64, 2, LONG);
    concurrency.allowed = 2;
    concurrency.sample(active(2), None);
    assert_eq!(concurrency.allowed, 64);
}
