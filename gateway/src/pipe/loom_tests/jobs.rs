//! The begin of a job, against everything that keeps it from beginning.
//!
//! Threads: loom's.

use loom::thread;

use super::{FOREVER, StreamFailure, narrow, push};
use crate::models::assert_outcomes;
use crate::pipe::Closed;

/// DISC-05, POOL-08: a job whose time in the queue is up either runs or expires.
#[test]
fn a_job_either_begins_or_expires() {
    assert_outcomes(&[(true, false, true), (false, true, false)], || {
        let (sender, receiver) = narrow();
        let thread = thread::spawn(move || sender.begin());
        let expired = receiver.close_unless_begun();
        (thread.join().unwrap(), expired, receiver.has_begun())
    });
}

/// POOL-18: a queued job is dropped by its pool, or its client disconnects: one of the two, and the side that was
/// second knows it.
#[test]
fn a_job_is_either_dropped_or_cancelled() {
    assert_outcomes(&[(true, false, Some(StreamFailure::Stated)), (false, true, None)], || {
        let (sender, receiver) = narrow();
        let thread = thread::spawn(move || {
            let mut dropped = false;
            sender.fail_unless_closed(StreamFailure::Stated, || dropped = true);
            // The sender lives on: its drop would state an end.
            (sender, dropped)
        });
        let cancelled = receiver.close_unless_begun();
        let (_sender, dropped) = thread.join().unwrap();
        (dropped, cancelled, receiver.failure())
    });
}

/// POOL-18: a job that is cut off when it is about to begin either runs, and its stream has failed; or it does not, and
/// states that itself.
#[test]
fn a_job_that_is_cut_off_states_whether_it_has_begun() {
    assert_outcomes(&[(true, Some(StreamFailure::Dropped)), (false, Some(StreamFailure::Stated))], || {
        let (mut sender, receiver) = narrow();
        let watch = receiver.watch();
        let thread = thread::spawn(move || {
            let begun = sender.begin();
            if !begun {
                sender.end(Err(StreamFailure::Stated));
            }
            (sender, begun)
        });
        watch.cut();
        let (_sender, begun) = thread.join().unwrap();
        (begun, receiver.failure())
    });
}

/// DISC-05: a job whose client is gone does not begin, or observes that.
#[test]
fn a_job_that_begins_hears_that_its_client_has_gone() {
    let outcomes = [(false, None), (true, Some(Ok(()))), (true, Some(Err(Closed)))];
    assert_outcomes(&outcomes, || {
        let (sender, receiver) = narrow();
        let thread = thread::spawn(move || {
            let begun = sender.begin();
            let first = begun.then(|| push(&sender, 1, FOREVER));
            if begun {
                assert_eq!(push(&sender, 2, FOREVER), Err(Closed));
                assert!(sender.is_closed());
            }
            (begun, first)
        });
        drop(receiver);
        thread.join().unwrap()
    });
}
