//! The reactor: the sockets of the connections, and the wait for their events.
//!
//! Threads: any; `lead` and `look` on drivers, and block.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;

use crate::catch_panic::catch_panic;
use crate::log;
use crate::sync::{Mutex, lock};

/// The pause before another reactor is asked for.
const RETRY: Duration = Duration::from_millis(100);

/// A runtime for its I/O alone: no task is ever spawned on it, and one thread at a time is inside.
pub(super) struct Reactor {
    /// Locked by the leader, while it leads. `None` if the system allows no other one after a panic.
    runtime: Mutex<Option<Runtime>>,
    handle: Mutex<Handle>,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = runtime()?;
        let handle = Mutex::new(runtime.handle().clone());
        Ok(Self { runtime: Mutex::new(Some(runtime)), handle })
    }

    /// To register sockets with.
    pub(super) fn handle(&self) -> Handle {
        lock(&self.handle).clone()
    }

    /// Waits for events, which wake tasks, until `poll` is ready.
    pub(super) fn lead(&self, poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
        self.enter(poll_fn(poll));
    }

    /// Takes the events that are there.
    pub(super) fn look(&self) {
        self.enter(yield_now());
    }

    fn enter(&self, future: impl Future<Output = ()>) {
        let mut runtime = lock(&self.runtime);
        let Some(entered) = &*runtime else { return self.replace(&mut runtime) };
        // Wakers are those of tasks, which do not panic. tokio would lose its driver in a panic.
        let Err(panicked) = catch_panic(|| entered.block_on(future)) else { return };
        log::error!(error = %panicked, "a waker panicked in the reactor; its connections end at their timeouts");
        let broken = runtime.take();
        log::panic_of!(broken.map(Runtime::shutdown_background), "a waker panicked");
        self.replace(&mut runtime);
    }

    /// Makes another reactor, for the connections to come. After a failure the next leader tries again.
    fn replace(&self, runtime: &mut Option<Runtime>) {
        match self::runtime() {
            Ok(next) => {
                *lock(&self.handle) = next.handle().clone();
                *runtime = Some(next);
            }
            Err(error) => {
                log::error!(%error, "the system allows no reactor");
                thread::sleep(RETRY);
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // The last reference may be dropped on a thread of the program's runtime, where a plain drop would panic.
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }
}
