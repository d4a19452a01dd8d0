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

fn awake(mut concurrency: ConcurrencyLimit, count: usize) -> ConcurrencyLimit {
    for _ in 0..count {
        concurrency.woken();
        concurrency.arrived();
    }
    concurrency
}

/// Takes two samples of a queue that was not drained.
fn look_twice(concurrency: &mut ConcurrencyLimit, runnable: usize) {
    concurrency.was_drained = false;
    (0..2).for_each(|_| concurrency.sample(Some(runnable)));
}

#[test]
fn one_thread_is_on_its_way_at_a_time() {
    let mut concurrency = limit(64, 2, SHORT);
    assert!(concurrency.wants_another(1));
    concurrency.woken();
    assert!(!concurrency.wants_another(63));
    concurrency.arrived();
    assert!(concurrency.wants_another(62));
}

#[test]
fn each_slow_job_has_a_thread_on_its_way() {
    let mut concurrency = limit(64, 2, LONG);
    for waking in 0..64 {
        assert!(!concurrency.wants_another(waking));
        assert!(concurrency.wants_another(waking + 1));
        concurrency.woken();
    }
    // All threads are waking.
    assert!(!concurrency.wants_another(100));
}

#[test]
fn a_thread_that_cannot_come_in_time_is_not_woken() {
    let concurrency = awake(limit(64, 2, SHORT), 1);
    assert!(!concurrency.wants_another(10));
    assert!(concurrency.wants_another(20));
    assert!(concurrency.allows_another());
    // Two threads empty the queue twice as fast, and there are two CPUs.
    let concurrency = awake(concurrency, 1);
    assert!(!concurrency.wants_another(20) && !concurrency.wants_another(1000));
    assert!(concurrency.allows_another());
}

#[test]
fn blocked_work_gets_all_threads() {
    let mut concurrency = awake(limit(64, 2, LONG), 2);
    concurrency.allowed = 2;
    concurrency.was_drained = false;
    let mut looks = 0;
    while concurrency.allowed < 64 {
        assert!(!concurrency.wants_another(256));
        concurrency.sample(Some(0));
        looks += 1;
        while concurrency.wants_another(256) {
            concurrency.woken();
            concurrency.arrived();
        }
    }
    assert_eq!(looks, 5);
}

#[test]
fn computing_work_gets_a_thread_for_each_processor() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    look_twice(&mut concurrency, 64);
    assert_eq!(concurrency.allowed, 2);
    // 62 threads become idle after their jobs.
    for _ in 0..62 {
        assert!(!concurrency.may_go_on());
        concurrency.rests();
    }
    assert!(concurrency.may_go_on());
}

#[test]
fn threads_that_happen_to_wake_at_the_same_time_are_not_held_back() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    concurrency.was_drained = false;
    for runnable in [0, 3, 0, 64, 1, 2] {
        concurrency.sample(Some(runnable));
        assert_eq!(concurrency.allowed, 64);
    }
    // A sample in doubt is repeated soon.
    assert_eq!(concurrency.pause(), SAMPLE_INTERVAL);
}

/// Under the lock of an interpreter, one thread runs and all others wait for the lock as if blocked; but one is always
/// runnable.
#[test]
fn threads_that_wait_for_each_other_are_found_out() {
    let mut concurrency = awake(limit(64, 1, LONG), 64);
    let mut looks = 0;
    concurrency.was_drained = false;
    while concurrency.running > 1 {
        concurrency.sample(Some(1));
        looks += 1;
        while !concurrency.may_go_on() {
            concurrency.rests();
        }
    }
    assert!(looks < 64, "{looks}");
}

/// If threads wait for CPUs, another thread would add contention.
#[test]
fn a_job_that_was_held_up_now_and_then_does_not_make_jobs_long() {
    let mut concurrency = awake(limit(64, 2, SHORT), 1);
    for number in 0..400 {
        concurrency.served(if number % 10 == 0 { Duration::from_millis(3) } else { SHORT });
    }
    assert!(concurrency.average() > WAKE_UP);
    assert!(!concurrency.wants_another(5));
}

/// Endless jobs, one for each CPU.
#[test]
fn long_jobs_leave_their_turn_to_others() {
    let mut concurrency = awake(limit(64, 2, SHORT), 2);
    look_twice(&mut concurrency, 2);
    assert_eq!(concurrency.allowed, 2);
    assert!(!concurrency.allows_another());
    assert_eq!(concurrency.long_after(), SHORTEST_LONG);
    concurrency.classify_jobs(2, 2);
    concurrency.sample(Some(0));
    assert!(concurrency.wants_another(1) && concurrency.allows_another());
    let mut concurrency = awake(concurrency, 2);
    concurrency.allowed = 2;
    // One of them ends, and its thread exceeds the limit.
    concurrency.slow_ended();
    concurrency.long_ended();
    assert!(!concurrency.may_go_on());
}

#[test]
fn what_was_learned_is_forgotten_when_nobody_has_to_wait() {
    let mut concurrency = awake(limit(64, 2, LONG), 2);
    concurrency.allowed = 2;
    concurrency.drained();
    concurrency.sample(Some(2));
    assert_eq!(concurrency.allowed, 4);
}

/// Otherwise a burst of short jobs under the lock of an interpreter would wake all threads, which would take turns and
/// take longer.
#[test]
fn threads_that_share_something_begin_with_as_many_as_can_run() {
    for parallelism in [1, 2, 100] {
        assert_eq!(ConcurrencyLimit::new(64, parallelism, true).allowed, parallelism.min(64));
        assert_eq!(ConcurrencyLimit::new(64, parallelism, false).allowed, 64);
    }
}

#[test]
fn what_is_enough_for_them_stays_as_it_is_and_is_looked_at_again_soon() {
    let mut concurrency = awake(ConcurrencyLimit::new(64, 2, true), 2);
    for _ in 0..3 {
        concurrency.drained();
        concurrency.sample(Some(2));
        assert_eq!((concurrency.allowed, concurrency.pause()), (2, SAMPLE_INTERVAL));
    }
    // The jobs of the next burst block.
    concurrency.drained();
    concurrency.sample(Some(1));
    assert_eq!(concurrency.allowed, 4);
}

#[test]
fn a_pool_of_them_that_grows_has_to_show_that_its_jobs_block() {
    let mut concurrency = ConcurrencyLimit::new(4, 2, true);
    concurrency.resize(64);
    assert_eq!(concurrency.allowed, 2);
    concurrency.allowed = 64;
    concurrency.resize(8);
    assert_eq!(concurrency.allowed, 8);
}

/// Blocked threads do not come back for the queued jobs.
#[test]
fn threads_that_are_at_something_slow_are_not_waited_for() {
    let mut concurrency = awake(limit(64, 2, SHORT), 2);
    assert!(!concurrency.wants_another(1));
    concurrency.classify_jobs(2, 0);
    assert!(concurrency.wants_another(1));
    let mut concurrency = awake(concurrency, 1);
    assert!(!concurrency.wants_another(1));
    concurrency.slow_ended();
    assert!(!concurrency.wants_another(1000));
}

#[test]
fn looks_that_change_nothing_become_rare() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    for _ in 0..10 {
        concurrency.was_drained = false;
        concurrency.sample(Some(0));
    }
    assert_eq!((concurrency.allowed, concurrency.pause()), (64, LONGEST_SAMPLE_INTERVAL));
    look_twice(&mut concurrency, 64);
    assert_eq!((concurrency.allowed, concurrency.pause()), (2, SAMPLE_INTERVAL));
}

/// By the measured CPU time, as threads that sleep for the same time wake together.
#[test]
fn jobs_block_if_those_who_are_awake_leave_most_of_the_processors() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    // Nothing is measured yet.
    assert!(!concurrency.jobs_block());
    (0..100).for_each(|_| concurrency.computed(0.005));
    assert!(concurrency.jobs_block());
    // The threads take turns on both CPUs; a few measurements suffice.
    (0..8).for_each(|_| concurrency.computed(2.0 / 64.0));
    assert!(!concurrency.jobs_block());
    // One thread has a CPU for itself.
    (0..100).for_each(|_| concurrency.computed(0.005));
    concurrency.computed(1.0);
    assert!(!concurrency.jobs_block());
}

/// The average was measured with more running threads.
#[test]
fn nobody_knows_that_jobs_block_while_threads_are_held_back() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    (0..100).for_each(|_| concurrency.computed(2.0 / 64.0));
    look_twice(&mut concurrency, 64);
    while !concurrency.may_go_on() {
        concurrency.rests();
        assert!(!concurrency.jobs_block(), "{} are awake", concurrency.running);
    }
    assert_eq!(concurrency.running, 2);
}

/// Threads that sleep often appear runnable by chance, and each sample costs time.
#[test]
fn looks_that_see_chance_become_rare_as_well() {
    let mut concurrency = awake(limit(64, 2, LONG), 64);
    for _ in 0..10 {
        concurrency.was_drained = false;
        concurrency.sample(Some(2));
        assert_eq!((concurrency.allowed, concurrency.pause()), (64, SAMPLE_INTERVAL));
        concurrency.sample(Some(1));
    }
    assert_eq!((concurrency.allowed, concurrency.pause()), (64, LONGEST_SAMPLE_INTERVAL));
}

#[test]
fn a_system_that_does_not_tell_gets_all_threads() {
    let mut concurrency = awake(limit(64, 2, LONG), 2);
    concurrency.allowed = 2;
    concurrency.sample(None);
    assert_eq!(concurrency.allowed, 64);
}
