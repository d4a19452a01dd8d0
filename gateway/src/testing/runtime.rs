//! Futures in plain tests.
//!
//! Threads: the test's; blocks.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a future that may need timers, tasks and blocking threads.
pub(super) fn on_runtime<F: Future<Output: Send>>(future: impl FnOnce() -> F + Send) -> F::Output {
    // On a thread of its own: the caller's thread may belong to a runtime.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap_or_else(|error| panic!("the system refuses a runtime: {error}")).block_on(future())
    };
    let done = std::thread::scope(|scope| scope.spawn(run).join());
    done.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Runs a future on this thread. With [`Inline`] it never waits.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    /// Wakes by a channel, not by `unpark`: an application may park this thread and would take the token.
    struct Notify(mpsc::Sender<()>);
    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            // The receiver is dropped once the future is done.
            let _ = self.0.send(());
        }
    }
    let (sender, notified) = mpsc::channel();
    let waker = Waker::from(Arc::new(Notify(sender)));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // Cannot fail: `waker` keeps a sender. A wake between the poll and `recv` is kept by the channel.
        let _ = notified.recv();
    }
}
