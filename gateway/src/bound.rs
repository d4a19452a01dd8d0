//! The bound on every wait of a test: a broken build fails it, and does not block it for ever.
//!
//! Threads: the test's; blocks.

use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Many times the usual duration on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// Polls for a condition that nothing signals.
#[track_caller]
pub(crate) fn until(condition: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "waited in vain: {condition}");
        std::thread::yield_now();
    }
}

/// The next message.
#[track_caller]
pub(crate) fn recv<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(BOUND).unwrap_or_else(|error| panic!("no message: {error}"))
}

/// The return value of a thread.
#[track_caller]
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    until("the thread ends", || thread.is_finished());
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a future on a paused clock, and on a thread of its own: the future may never yield.
#[track_caller]
pub(crate) fn run_paused<F: Future>(future: impl FnOnce() -> F + Send + 'static) -> F::Output
where
    F::Output: Send + 'static,
{
    join(std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(future())
    }))
}
