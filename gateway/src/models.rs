//! The shared parts of the models: loom with bounds, and an executor for one task.
//!
//! A model is a closure that loom runs once for each order of events; it returns its outcome. The possible outcomes are
//! the contract, so a model lists them: an outcome that is not listed is a bug in the code, a listed outcome that never
//! happens is a gap in the model. A lost wakeup shows as a deadlock.
//!
//! Threads: loom's.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::sync;

/// The number of preemptions per run, unless `LOOM_MAX_PREEMPTIONS` is set. Most concurrency bugs need one or two.
const PREEMPTIONS: usize = 2;

/// Runs the model in every order of events, and compares its outcomes with `expected`.
pub(crate) fn assert_outcomes<R>(expected: &[R], model: impl Fn() -> R + Send + Sync + 'static)
where
    R: Debug + PartialEq + Send + 'static,
{
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    let start = Instant::now();
    // Types of the standard library, which loom does not model: the outcomes are kept across runs.
    let seen = Arc::new(Mutex::new((0_u64, Vec::new())));
    let outcomes = Arc::clone(&seen);
    builder.check(move || {
        let outcome = model();
        let mut seen = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 += 1;
        if !seen.1.contains(&outcome) {
            seen.1.push(outcome);
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
    let task = Arc::new(TaskWaker { is_woken: sync::Mutex::new(false), wakeup: sync::Condvar::new() });
    let waker = Waker::from(Arc::clone(&task));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(poll_fn(poll));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return result;
        }
        // The flag is checked under the lock that the wait releases: no wakeup falls between poll and wait.
        let mut is_woken = sync::lock(&task.is_woken);
        while !std::mem::take(&mut *is_woken) {
            is_woken = sync::wait(&task.wakeup, is_woken);
        }
    }
}

/// Wakes a task. loom's own `block_on` also wakes spuriously, and reports that on stderr each time.
struct TaskWaker {
    is_woken: sync::Mutex<bool>,
    wakeup: sync::Condvar,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        *sync::lock(&self.is_woken) = true;
        self.wakeup.notify_one();
    }
}
