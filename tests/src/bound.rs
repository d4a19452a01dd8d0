//! The bound on every wait: a broken build fails a test, and does not block it for ever.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The bound for one event, and for an async test: many times the usual duration on a busy machine.
pub const BOUND: Duration = Duration::from_secs(60);

/// The next message.
#[track_caller]
pub fn recv<T>(receiver: &mpsc::Receiver<T>) -> T {
    receiver.recv_timeout(BOUND).unwrap_or_else(|error| panic!("no message: {error}"))
}

/// The return value of a thread.
#[track_caller]
pub fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    until("the thread ends", || thread.is_finished());
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Polls for a condition that nothing signals.
#[track_caller]
pub fn until(condition: &str, mut holds: impl FnMut() -> bool) {
    wait_for(condition, || holds().then_some(()));
}

/// Polls for a value.
#[track_caller]
pub fn wait_for<T>(condition: &str, poll: impl FnMut() -> Option<T>) -> T {
    wait_for_up_to(BOUND, condition, poll)
}

/// [`wait_for`] with another bound.
#[track_caller]
pub(crate) fn wait_for_up_to<T>(bound: Duration, condition: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < bound, "waited in vain: {condition}");
        // Yields the processor to the code under test.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// [`until`], for a task.
pub async fn until_async(condition: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "waited in vain: {condition}");
        tokio::task::yield_now().await;
    }
}

/// The output of a future. The bound uses the real clock: tokio's clock may be paused, and then advances while a thread
/// works.
pub async fn within<F: Future>(future: F) -> F::Output {
    let (expire, expired) = oneshot::channel();
    // The sender is dropped with this future, which ends the thread.
    let (_done, is_done) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if is_done.recv_timeout(BOUND) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = expire.send(());
        }
    });
    tokio::select! {
        biased;
        output = future => output,
        _ = expired => panic!("still waiting after {BOUND:?}"),
    }
}

/// Runs a future on a runtime of one thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    block_on_runtime(runtime.expect("a runtime"), future)
}

/// Runs a future on a runtime, and ends the runtime.
pub fn block_on_runtime<F: Future>(runtime: Runtime, future: F) -> F::Output {
    /// Dropping a runtime waits for its blocking tasks, even for a task that a failed test has left blocked.
    struct Ended(Option<Runtime>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(Runtime::shutdown_background);
        }
    }
    let runtime = Ended(Some(runtime));
    runtime.0.as_ref().expect("it is taken when it is dropped").block_on(within(future))
}
