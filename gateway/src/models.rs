//! What the models share: a loom that knows its bounds, and a task for it.
//!
//! A model is a closure that loom runs once for each order of events; it ends in a value, its outcome. The outcomes
//! that can happen are the contract, so a model lists them: one that is not on the list is a bug in the code, one that
//! never happens a hole in the model. A wake-up that is lost shows as a deadlock.
//!
//! Threads: models of them.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::sync;

/// How often a thread that could go on is made to wait for another; `LOOM_MAX_PREEMPTIONS` says otherwise. Most bugs of
/// this kind need one or two.
const PREEMPTIONS: usize = 2;

/// Runs the model in every order of events, and compares its outcomes with those that can happen.
pub(crate) fn assert_outcomes<R>(expected: &[R], model: impl Fn() -> R + Send + Sync + 'static)
where
    R: Debug + PartialEq + Send + 'static,
{
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    let start = Instant::now();
    // Of the standard library: loom must not see them.
    let seen = Arc::new(Mutex::new((0_u64, Vec::new())));
    let book = Arc::clone(&seen);
    builder.check(move || {
        let outcome = model();
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        book.0 += 1;
        if !book.1.contains(&outcome) {
            book.1.push(outcome);
        }
    });
    let (orders, outcomes) = &*seen.lock().unwrap();
    println!("{orders} orders in {:?}, {} outcomes", start.elapsed(), outcomes.len());
    for outcome in outcomes {
        assert!(expected.contains(outcome), "{outcome:?} must not happen");
    }
    for outcome in expected {
        assert!(outcomes.contains(outcome), "{outcome:?} never happens");
    }
}

/// Runs a task on this thread of the model.
pub(crate) fn block_on<R>(poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let bell = Arc::new(Bell { rung: sync::Mutex::new(false), ringing: sync::Condvar::new() });
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut task = pin!(poll_fn(poll));
    loop {
        if let Poll::Ready(result) = task.as_mut().poll(&mut cx) {
            return result;
        }
        let mut rung = sync::lock(&bell.rung);
        while !std::mem::take(&mut *rung) {
            rung = sync::wait(&bell.ringing, rung);
        }
    }
}

/// Wakes a task. Not loom's own: that one also wakes for no reason, and says so on stderr each time.
struct Bell {
    rung: sync::Mutex<bool>,
    ringing: sync::Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *sync::lock(&self.rung) = true;
        self.ringing.notify_one();
    }
}
