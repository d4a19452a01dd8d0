//! The pipe, single-stepped.
//!
//! Threads: the test's.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{Item, SendTimeouts, pipe};
use crate::bound::{join, until};
use crate::sync::lock;

#[derive(Debug, PartialEq, Eq)]
struct Byte;

impl Item for Byte {
    fn bytes(&self) -> usize {
        1
    }
}

struct PanicsInWake;

impl Wake for PanicsInWake {
    fn wake(self: Arc<Self>) {
        panic!("in the waker");
    }
}

const TIMEOUTS: SendTimeouts<()> =
    SendTimeouts { stall: (Duration::from_secs(20), ()), total: (Duration::from_secs(20), ()) };

/// ERR-10: the panic of a task's waker costs the thread nothing, neither its item nor a notification.
#[test]
fn a_waker_that_panics_does_not_reach_the_thread() {
    let (sender, mut receiver) = pipe::<Byte, ()>(0);
    let watch = receiver.watch();
    let waker = Waker::from(Arc::new(PanicsInWake));
    let cx = Context::from_waker(&waker);
    assert_eq!(receiver.poll_pull(&cx), Poll::Pending);
    assert_eq!(sender.push(Byte, TIMEOUTS), Ok(()));
    assert_eq!(receiver.poll_pull(&cx), Poll::Ready(Some(Ok(Byte))));
    assert_eq!(receiver.poll_pull(&cx), Poll::Pending);
    assert!(sender.begin());
    watch.cut();
    assert_eq!(receiver.poll_pull(&cx), Poll::Ready(Some(Err(()))));
    assert!(watch.wait_closed_unless(TIMEOUTS.total.0, || false));
}

/// DISC-05: a job that has begun does not expire, even if its client is gone.
#[test]
fn a_job_that_has_begun_does_not_expire() {
    let (sender, receiver) = pipe::<Byte, ()>(0);
    assert!(sender.begin());
    receiver.watch().cut();
    assert!(!receiver.close_unless_begun());
}

/// BP-06: a stall closes the pipe, and also wakes a thread that waits for the receiver to go.
#[test]
fn a_stall_wakes_a_thread_that_waits_for_the_end() {
    let (sender, receiver) = pipe::<Byte, ()>(0);
    let watch = receiver.watch();
    let waits = std::thread::spawn(move || watch.wait_closed_unless(Duration::MAX, || false));
    until("the thread waits", || lock(&receiver.pipe.state).thread_waits);
    let stalls = SendTimeouts { stall: (Duration::ZERO, ()), ..TIMEOUTS };
    assert_eq!(sender.push(Byte, stalls), Ok(()));
    assert!(sender.push(Byte, stalls).is_err());
    assert!(join(waits));
}
