//! Models of the pipe, in which loom tries every order of events: see `models`.
//!
//! The pipes have no room for a second item, so a thread that pushes two has to wait.
//!
//! Threads: loom's.

mod jobs;

use std::task::{Context, Poll};
use std::time::Duration;

use loom::thread;

use super::{Closed, Item, NotPushed, Receiver, SendTimeouts, Sender, pipe};
use crate::models::{assert_outcomes, block_on};

/// A timeout that never ends, so that a lost wakeup is a deadlock.
const NEVER: Duration = Duration::MAX;

/// A timeout that may end at any moment.
const SOON: Duration = Duration::from_secs(1);

/// No timeouts.
const FOREVER: SendTimeouts<StreamFailure> =
    SendTimeouts { stall: (NEVER, StreamFailure::Stalled), total: (NEVER, StreamFailure::Late) };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(u8);

impl Item for Number {
    fn bytes(&self) -> usize {
        1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum StreamFailure {
    /// The sender was dropped without stating an end.
    #[default]
    Dropped,
    /// A handle stated the failure.
    Stated,
    /// The receiver took nothing for too long.
    Stalled,
    /// The thread waited for too long.
    Late,
}

/// The items that a receiver got, and the end that it observed.
type Received = (Vec<u8>, Result<(), StreamFailure>);

fn narrow() -> (Sender<Number, StreamFailure>, Receiver<Number, StreamFailure>) {
    pipe(0)
}

/// Reads to the end.
fn read_all(mut next: impl FnMut() -> Option<Result<Number, StreamFailure>>) -> Received {
    let mut items = Vec::new();
    loop {
        match next() {
            Some(Ok(Number(item))) => items.push(item),
            Some(Err(failure)) => return (items, Err(failure)),
            None => return (items, Ok(())),
        }
    }
}

/// Reads to the end on a thread, then asks again: the end stays the same.
fn pull_all(receiver: &mut Receiver<Number, StreamFailure>) -> Received {
    let received = read_all(|| receiver.pull());
    assert_eq!(receiver.pull(), received.1.err().map(Err));
    received
}

/// The same in a task.
fn poll_all(receiver: &mut Receiver<Number, StreamFailure>) -> Received {
    let received = read_all(|| block_on(|cx| receiver.poll_pull(cx)));
    assert_eq!(block_on(|cx| receiver.poll_pull(cx)), received.1.err().map(Err));
    received
}

/// Pushes the item on a thread. A closed pipe returns it.
fn push(sender: &Sender<Number, StreamFailure>, item: u8, timeouts: SendTimeouts<StreamFailure>) -> Result<(), Closed> {
    sender.push(Number(item), timeouts).map_err(|NotPushed(returned)| {
        assert_eq!(returned, Number(item));
        Closed
    })
}

/// Pushes the items in a task, and stops when the pipe is closed.
fn pump(sender: &mut Sender<Number, StreamFailure>, items: &[u8]) -> Result<(), Closed> {
    let mut items = items.iter().copied().map(Number);
    let mut pending = None;
    block_on(|cx: &mut Context<'_>| {
        loop {
            if sender.poll_closed(cx).is_ready() {
                return Poll::Ready(Err(Closed));
            }
            pending = pending.take().or_else(|| items.next());
            if pending.is_none() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(sender.poll_push(cx, &mut pending, false))?;
        }
    })
}

/// BP-01: no wakeup is lost between a thread that pushes and a task that pulls, in either direction.
#[test]
fn what_a_thread_pushes_reaches_the_task() {
    assert_outcomes(&[(Ok(()), (vec![1, 2], Ok(())))], || {
        let (mut sender, mut receiver) = narrow();
        let thread = thread::spawn(move || {
            let pushed = push(&sender, 1, FOREVER).and_then(|()| push(&sender, 2, FOREVER));
            sender.end(Ok(()));
            pushed
        });
        let received = poll_all(&mut receiver);
        (thread.join().unwrap(), received)
    });
}

/// The same with the last item and the end in one step.
#[test]
fn the_last_item_wakes_the_task_for_the_end_as_well() {
    assert_outcomes(&[(vec![1], Ok(()))], || {
        let (mut sender, mut receiver) = narrow();
        let thread = thread::spawn(move || sender.push_last(Number(1)));
        let received = poll_all(&mut receiver);
        thread.join().unwrap();
        received
    });
}

/// DISC-03: a push that waits for room wakes when the receiver is dropped, whether or not it has taken an item.
#[test]
fn a_push_that_waits_wakes_when_the_receiver_goes() {
    for takes in 0..2 {
        let mut outcomes = vec![(Ok(()), Err(Closed)), (Err(Closed), Err(Closed))];
        if takes > 0 {
            outcomes = vec![(Ok(()), Ok(())), (Ok(()), Err(Closed))];
        }
        assert_outcomes(&outcomes, move || {
            let (sender, mut receiver) = narrow();
            let thread = thread::spawn(move || (push(&sender, 1, FOREVER), push(&sender, 2, FOREVER)));
            for _ in 0..takes {
                assert_eq!(block_on(|cx| receiver.poll_pull(cx)), Some(Ok(Number(1))));
            }
            drop(receiver);
            thread.join().unwrap()
        });
    }
}

/// DISC-03, DISC-06: the receiver's drop wakes every waiting thread, not only the one that pushes.
#[test]
fn all_who_wait_wake_when_the_receiver_goes() {
    assert_outcomes(&[(Err(Closed), true)], || {
        let (sender, receiver) = narrow();
        let watch = receiver.watch();
        let pushes = thread::spawn(move || {
            let _ = push(&sender, 1, FOREVER);
            push(&sender, 2, FOREVER)
        });
        let watches = thread::spawn(move || watch.wait_closed_unless(NEVER, || false));
        drop(receiver);
        (pushes.join().unwrap(), watches.join().unwrap())
    });
}

/// DISC-06: a wait with a timeout ends, and returns whether the receiver is gone.
#[test]
fn a_wait_for_the_receiver_to_go_may_end_before() {
    assert_outcomes(&[true, false], || {
        let (_sender, receiver) = narrow();
        let watch = receiver.watch();
        let thread = thread::spawn(move || watch.wait_closed_unless(SOON, || false));
        drop(receiver);
        thread.join().unwrap()
    });
}

/// BP-06, ERR-05, ERR-16: the item is taken in time or the stream has failed; the two sides agree on which.
#[test]
fn a_stalled_push_fails_the_stream() {
    let stalls = SendTimeouts { stall: (SOON, StreamFailure::Stalled), ..FOREVER };
    let ends = SendTimeouts { total: (SOON, StreamFailure::Late), ..FOREVER };
    for (timeouts, failure) in [(stalls, StreamFailure::Stalled), (ends, StreamFailure::Late)] {
        assert_outcomes(&[(Ok(()), (vec![1, 2], Ok(()))), (Err(Closed), (vec![], Err(failure)))], move || {
            let (mut sender, mut receiver) = narrow();
            let thread = thread::spawn(move || {
                assert_eq!(push(&sender, 1, FOREVER), Ok(()));
                let pushed = push(&sender, 2, timeouts);
                sender.end(Ok(()));
                pushed
            });
            let received = poll_all(&mut receiver);
            (thread.join().unwrap(), received)
        });
    }
}

/// BP-02: a thread that waits until the pipe holds at most some bytes is notified then, even if the pipe is fuller than
/// a push would wait for.
#[test]
fn a_wait_for_room_ends_as_soon_as_there_is_enough() {
    assert_outcomes(&[Ok(())], || {
        let (sender, mut receiver) = pipe(8);
        for item in 0..6 {
            assert_eq!(push(&sender, item, FOREVER), Ok(()));
        }
        let thread = thread::spawn(move || sender.wait_drained(5, FOREVER));
        assert_eq!(block_on(|cx| receiver.poll_pull(cx)), Some(Ok(Number(0))));
        let waited = thread.join().unwrap();
        drop(receiver);
        waited
    });
}

/// IN-15: no wakeup is lost between a task that pushes and a thread that pulls.
#[test]
fn what_a_task_feeds_reaches_the_thread() {
    assert_outcomes(&[([Ok(()); 2], (vec![1, 2], Ok(())))], || {
        let (mut sender, mut receiver) = narrow();
        let thread = thread::spawn(move || pull_all(&mut receiver));
        // No `poll_closed` here: it would register the waker as well, and hide a `poll_push` that does not.
        let pumped = [1, 2].map(|item| {
            let mut item = Some(Number(item));
            block_on(|cx| sender.poll_push(cx, &mut item, false))
        });
        sender.end(Ok(()));
        (pumped, thread.join().unwrap())
    });
}

/// IN-15, HTTP-10: a thread that has taken the last item always finds the stream complete.
#[test]
fn the_last_item_comes_with_the_end() {
    assert_outcomes(&[(vec![1, 2], true)], || {
        let (mut sender, mut receiver) = narrow();
        let watch = sender.watch();
        let thread = thread::spawn(move || {
            let read = [(); 2].map(|()| receiver.pull()).map(|item| item.and_then(Result::ok).map_or(0, |item| item.0));
            (read.to_vec(), watch.is_complete())
        });
        for (item, is_last) in [(1, false), (2, true)] {
            let mut item = Some(Number(item));
            // The thread reads both.
            block_on(|cx| sender.poll_push(cx, &mut item, is_last)).unwrap();
        }
        thread.join().unwrap()
    });
}

/// IN-22, DISC-12: the body pump of an application that stops reading ends, in whatever state it is.
#[test]
fn a_body_pump_ends_when_the_application_drops_its_input() {
    for reads in 0..2 {
        assert_outcomes(&[()], move || {
            let (mut sender, mut receiver) = narrow();
            let thread = thread::spawn(move || {
                for item in 0..reads {
                    assert_eq!(receiver.pull(), Some(Ok(Number(item))));
                }
            });
            // One item more than the thread reads: the last one is never taken.
            let _ = pump(&mut sender, &[0, 1, 2][..=usize::from(reads)]);
            block_on(|cx| sender.poll_closed(cx));
            thread.join().unwrap();
        });
    }
}

/// IN-23: the body pump wakes for the first read, or when the application drops its input unread.
#[test]
fn a_body_pump_waits_for_demand() {
    for (reads, received) in [(true, Some(Ok(Number(1)))), (false, None)] {
        assert_outcomes(&[(reads, received)], move || {
            let (mut sender, mut receiver) = narrow();
            let thread = thread::spawn(move || if reads { receiver.pull() } else { None });
            let wanted = block_on(|cx| sender.poll_wanted(cx));
            if wanted {
                let _ = pump(&mut sender, &[1]);
            }
            (wanted, thread.join().unwrap())
        });
    }
}

/// ERR-05, IN-17: a sender dropped without stating an end has failed; its items are delivered first.
#[test]
fn a_sender_that_is_dropped_has_failed() {
    assert_outcomes(&[(vec![1], Err(StreamFailure::Dropped))], || {
        let (sender, mut receiver) = narrow();
        let thread = thread::spawn(move || {
            assert_eq!(push(&sender, 1, FOREVER), Ok(()));
        });
        let received = poll_all(&mut receiver);
        thread.join().unwrap();
        received
    });
}

/// IN-17, IN-18, DISC-04: the client disconnects while the last bytes arrive. The reader observes one end, the one
/// stated first. `observed` does not return a failure that the reader has not met.
#[test]
fn a_failure_and_the_end_do_not_overtake_each_other() {
    for end in [Ok(()), Err(StreamFailure::Dropped)] {
        let outcomes = [
            (vec![1], end, end.err()),
            (vec![1], Err(StreamFailure::Stated), Some(StreamFailure::Stated)),
            (vec![], Err(StreamFailure::Stated), Some(StreamFailure::Stated)),
        ];
        assert_outcomes(&outcomes, move || {
            let (mut sender, mut receiver) = narrow();
            let watch = receiver.watch();
            let reads = thread::spawn(move || pull_all(&mut receiver));
            let client = sender.watch();
            let goes = thread::spawn(move || client.fail(StreamFailure::Stated));
            let _ = pump(&mut sender, &[1]);
            match end {
                Ok(()) => sender.end(Ok(())),
                Err(_) => drop(sender),
            }
            goes.join().unwrap();
            let (items, end) = reads.join().unwrap();
            (items, end, watch.observed())
        });
    }
}

/// IN-17: the same with the last item and the end in one step.
#[test]
fn a_failure_does_not_come_between_the_last_item_and_its_end() {
    let outcomes = [(vec![1], Ok(()), None), (vec![1], Err(StreamFailure::Stated), Some(StreamFailure::Stated))];
    assert_outcomes(&outcomes, || {
        let (mut sender, mut receiver) = narrow();
        let watch = receiver.watch();
        let sends = thread::spawn(move || sender.push_last(Number(1)));
        watch.fail(StreamFailure::Stated);
        sends.join().unwrap();
        let (items, end) = pull_all(&mut receiver);
        (items, end, watch.observed())
    });
}

/// IN-24, DISC-04: an input moved to another thread ends with its request, and its reader wakes.
#[test]
fn a_reader_wakes_when_the_request_is_over() {
    for end in [None, Some(Ok(()))] {
        let mut outcomes = vec![(vec![], Err(StreamFailure::Stated)), (vec![1], Err(StreamFailure::Stated))];
        outcomes.extend(end.map(|end| (vec![1], end)));
        assert_outcomes(&outcomes, move || {
            let (mut sender, mut receiver) = narrow();
            assert_eq!(pump(&mut sender, &[1]), Ok(()));
            if let Some(end) = end {
                sender.end(end);
            }
            let watch = receiver.watch();
            let thread = thread::spawn(move || read_all(|| receiver.pull()));
            watch.abandon(StreamFailure::Stated);
            thread.join().unwrap()
        });
    }
}

/// IN-24, DISC-12: the body pump ends with its request.
#[test]
fn a_body_pump_ends_when_the_request_is_over() {
    assert_outcomes(&[Err(Closed)], || {
        let (mut sender, mut receiver) = narrow();
        let watch = receiver.watch();
        let thread = thread::spawn(move || watch.abandon(StreamFailure::Stated));
        let pumped = pump(&mut sender, &[1, 2]);
        thread.join().unwrap();
        assert_eq!(pull_all(&mut receiver), (vec![], Err(StreamFailure::Stated)));
        pumped
    });
}
