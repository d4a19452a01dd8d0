//! A router, and the runtime that it runs on.
//!
//! Threads: the test's, which waits; a thread of its own for the runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::testing::runtime::block_on;

/// A router on a runtime of its own. The last clone ends the runtime.
#[derive(Clone)]
pub(super) struct RouterUnderTest {
    router: Router,
    runtime: Arc<Runtime>,
}

/// A runtime on a thread. Unlike one that runs only during a request, it also runs the tasks that handlers spawn.
struct Runtime {
    handle: Handle,
    /// Dropped with the runtime's last user, which ends the thread.
    _users: oneshot::Sender<()>,
}

impl Runtime {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (users, last_user) = oneshot::channel::<()>();
        // Ends with an error, because nothing is sent.
        let run = move || drop(runtime.block_on(last_user));
        std::thread::Builder::new().name("router".to_owned()).spawn(run)?;
        Ok(Self { handle, _users: users })
    }
}

impl RouterUnderTest {
    pub(super) fn new(router: Router) -> Self {
        let runtime = Runtime::start().unwrap_or_else(|error| panic!("the system refuses a runtime: {error}"));
        Self { router, runtime: Arc::new(runtime) }
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Runs a future on the runtime, and waits for it. A panic goes on in the caller.
    pub(super) fn run<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        block_on(self.runtime.handle.spawn(future))
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl fmt::Debug for RouterUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.router.fmt(f)
    }
}
