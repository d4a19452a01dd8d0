//! Threads: the test's.

use super::*;

const SHORT: Duration = Duration::from_micros(3);
const LONG: Duration = Duration::from_millis(50);

/// A pool in which all jobs have taken so long, of late.
fn waking(threads: usize, parallelism: usize, took: Duration) -> Waking {
    let mut waking = Waking::new(threads, parallelism, false);
    for _ in 0..200 {
        waking.served(took);
    }
    waking
}

fn awake(mut waking: Waking, count: usize) -> Waking {
    for _ in 0..count {
        waking.woken();
        waking.arrived();
    }
    waking
}

/// Looks after each of two moments in which nobody was idle.
fn look_twice(waking: &mut Waking, runnable: usize) {
    waking.was_drained = false;
    (0..2).for_each(|_| waking.look(Some(runnable)));
}

#[test]
fn one_thread_is_on_its_way_at_a_time() {
    let mut waking = waking(64, 2, SHORT);
    assert!(waking.wants_another(1));
    waking.woken();
    assert!(!waking.wants_another(63));
    waking.arrived();
    assert!(waking.wants_another(62));
}

#[test]
fn each_slow_job_has_a_thread_on_its_way() {
    let mut waking = waking(64, 2, LONG);
    for on_their_way in 0..64 {
        assert!(!waking.wants_another(on_their_way));
        assert!(waking.wants_another(on_their_way + 1));
        waking.woken();
    }
    // All are called.
    assert!(!waking.wants_another(100));
}

#[test]
fn a_thread_that_cannot_come_in_time_is_not_woken() {
    let waking = awake(waking(64, 2, SHORT), 1);
    assert!(!waking.wants_another(10));
    assert!(waking.wants_another(20));
    assert!(waking.allows_another());
    // Two are through twice as fast, and all that there are processors for.
    let waking = awake(waking, 1);
    assert!(!waking.wants_another(20) && !waking.wants_another(1000));
    assert!(waking.allows_another());
}

#[test]
fn blocked_work_gets_all_threads() {
    let mut waking = awake(waking(64, 2, LONG), 2);
    waking.allowed = 2;
    waking.was_drained = false;
    let mut looks = 0;
    while waking.allowed < 64 {
        assert!(!waking.wants_another(256));
        waking.look(Some(0));
        looks += 1;
        while waking.wants_another(256) {
            waking.woken();
            waking.arrived();
        }
    }
    assert_eq!(looks, 5);
}

#[test]
fn computing_work_gets_a_thread_for_each_processor() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    look_twice(&mut waking, 64);
    assert_eq!(waking.allowed, 2);
    // Sixty-two go to sleep as they end what they have.
    for _ in 0..62 {
        assert!(!waking.may_go_on());
        waking.rests();
    }
    assert!(waking.may_go_on());
}

#[test]
fn threads_that_happen_to_wake_at_the_same_time_are_not_held_back() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    waking.was_drained = false;
    for runnable in [0, 3, 0, 64, 1, 2] {
        waking.look(Some(runnable));
        assert_eq!(waking.allowed, 64);
    }
    // What has been seen for the first time is looked at again soon.
    assert_eq!(waking.pause(), LOOK);
}

/// Under the lock of an interpreter one runs and all others wait for it, which looks as if they were blocked; but one is
/// always runnable.
#[test]
fn threads_that_wait_for_each_other_are_found_out() {
    let mut waking = awake(waking(64, 1, LONG), 64);
    let mut looks = 0;
    waking.was_drained = false;
    while waking.awake > 1 {
        waking.look(Some(1));
        looks += 1;
        while !waking.may_go_on() {
            waking.rests();
        }
    }
    assert!(looks < 64, "{looks}");
}

/// Where threads wait for processors, another thread would only make that worse.
#[test]
fn a_job_that_was_held_up_now_and_then_does_not_make_jobs_long() {
    let mut waking = awake(waking(64, 2, SHORT), 1);
    for number in 0..400 {
        waking.served(if number % 10 == 0 { Duration::from_millis(3) } else { SHORT });
    }
    assert!(waking.service() > WAKE_UP);
    assert!(!waking.wants_another(5));
}

/// As many as there are processors compute for ever.
#[test]
fn long_jobs_leave_their_turn_to_others() {
    let mut waking = awake(waking(64, 2, SHORT), 2);
    look_twice(&mut waking, 2);
    assert_eq!(waking.allowed, 2);
    assert!(!waking.allows_another());
    assert_eq!(waking.long_after(), SHORTEST_LONG);
    waking.note_ages(2, 2);
    waking.look(Some(0));
    assert!(waking.wants_another(1) && waking.allows_another());
    let mut waking = awake(waking, 2);
    waking.allowed = 2;
    // One of them ends after all, and is one too many.
    waking.slow_ended();
    waking.long_ended();
    assert!(!waking.may_go_on());
}

#[test]
fn what_was_learned_is_forgotten_when_nobody_has_to_wait() {
    let mut waking = awake(waking(64, 2, LONG), 2);
    waking.allowed = 2;
    waking.drained();
    waking.look(Some(2));
    assert_eq!(waking.allowed, 4);
}

/// A burst of short jobs under the lock of an interpreter would otherwise wake all, who would take turns and take the longer for it.
#[test]
fn threads_that_share_something_begin_with_as_many_as_can_run() {
    for parallelism in [1, 2, 100] {
        assert_eq!(Waking::new(64, parallelism, true).allowed, parallelism.min(64));
        assert_eq!(Waking::new(64, parallelism, false).allowed, 64);
    }
}

#[test]
fn what_is_enough_for_them_stays_as_it_is_and_is_looked_at_again_soon() {
    let mut waking = awake(Waking::new(64, 2, true), 2);
    for _ in 0..3 {
        waking.drained();
        waking.look(Some(2));
        assert_eq!((waking.allowed, waking.pause()), (2, LOOK));
    }
    // The next burst is of another kind.
    waking.drained();
    waking.look(Some(1));
    assert_eq!(waking.allowed, 4);
}

#[test]
fn a_pool_of_them_that_grows_has_to_show_that_its_jobs_block() {
    let mut waking = Waking::new(4, 2, true);
    waking.resize(64);
    assert_eq!(waking.allowed, 2);
    waking.allowed = 64;
    waking.resize(8);
    assert_eq!(waking.allowed, 8);
}

/// Those who are blocked do not come back for what is in line.
#[test]
fn threads_that_are_at_something_slow_are_not_waited_for() {
    let mut waking = awake(waking(64, 2, SHORT), 2);
    assert!(!waking.wants_another(1));
    waking.note_ages(2, 0);
    assert!(waking.wants_another(1));
    let mut waking = awake(waking, 1);
    assert!(!waking.wants_another(1));
    waking.slow_ended();
    assert!(!waking.wants_another(1000));
}

#[test]
fn looks_that_change_nothing_become_rare() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    for _ in 0..10 {
        waking.was_drained = false;
        waking.look(Some(0));
    }
    assert_eq!((waking.allowed, waking.pause()), (64, RAREST_LOOK));
    look_twice(&mut waking, 64);
    assert_eq!((waking.allowed, waking.pause()), (2, LOOK));
}

/// Threads that sleep for the same time wake together.
#[test]
fn jobs_block_if_those_who_are_awake_leave_most_of_the_processors() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    // Nothing is known yet.
    assert!(!waking.jobs_block());
    (0..100).for_each(|_| waking.computed(0.005));
    assert!(waking.jobs_block());
    // They take turns on both processors, which a few of them are enough to tell.
    (0..8).for_each(|_| waking.computed(2.0 / 64.0));
    assert!(!waking.jobs_block());
    // One of them has a processor for itself.
    (0..100).for_each(|_| waking.computed(0.005));
    waking.computed(1.0);
    assert!(!waking.jobs_block());
}

/// What was measured was measured with more of them.
#[test]
fn nobody_knows_that_jobs_block_while_threads_are_held_back() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    (0..100).for_each(|_| waking.computed(2.0 / 64.0));
    look_twice(&mut waking, 64);
    while !waking.may_go_on() {
        waking.rests();
        assert!(!waking.jobs_block(), "{} are awake", waking.awake);
    }
    assert_eq!(waking.awake, 2);
}

/// With threads that sleep it happens all the time, and each look takes a while.
#[test]
fn looks_that_see_chance_become_rare_as_well() {
    let mut waking = awake(waking(64, 2, LONG), 64);
    for _ in 0..10 {
        waking.was_drained = false;
        waking.look(Some(2));
        assert_eq!((waking.allowed, waking.pause()), (64, LOOK));
        waking.look(Some(1));
    }
    assert_eq!((waking.allowed, waking.pause()), (64, RAREST_LOOK));
}

#[test]
fn a_system_that_does_not_tell_gets_all_threads() {
    let mut waking = awake(waking(64, 2, LONG), 2);
    waking.allowed = 2;
    waking.look(None);
    assert_eq!(waking.allowed, 64);
}
