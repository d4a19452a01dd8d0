//! The end of a request, as its thread waits for it: the client disconnects, or the server stops.
//!
//! Threads: the application's; blocks.

use std::cell::OnceCell;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::connection_context::ConnectionContext;
use crate::response::message::ResponseWatch;

/// What ended a wait of [`Environ`](crate::Environ::wait), [`Write`](crate::Write::wait) or
/// [`Events`](crate::Events::wait).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The client has disconnected, or gets no more bytes.
    ClientGone,
    /// The server stops: end the response, so that the server need not wait for its grace.
    Stopping,
    /// Neither within the timeout.
    Elapsed,
}

/// The client and the server of a request.
pub(crate) struct RequestEnd {
    client: ResponseWatch,
    /// The server, if it reports its stage.
    server: Option<ServerStop>,
}

impl RequestEnd {
    pub(crate) fn new(client: ResponseWatch) -> Self {
        Self { client, server: None }
    }

    /// Sets the connection whose server may stop.
    pub(crate) fn set_server(&mut self, context: ConnectionContext) {
        self.server = Some(ServerStop { context, wakeup: OnceCell::new() });
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.context.is_stopping())
    }

    /// Waits until the client gets no more bytes, for at most `timeout`. Returns whether it gets none.
    pub(crate) fn wait_for_disconnect(&self, timeout: Duration) -> bool {
        self.client.wait_closed_unless(timeout, || false)
    }

    pub(crate) fn wait(&self, timeout: Duration) -> Wait {
        if let Some(server) = self.server.as_ref().filter(|_| !timeout.is_zero()) {
            server.wake_when_stopping(&self.client);
        }
        if self.client.wait_closed_unless(timeout, || self.is_stopping()) {
            Wait::ClientGone
        } else if self.is_stopping() {
            Wait::Stopping
        } else {
            Wait::Elapsed
        }
    }
}

struct ServerStop {
    context: ConnectionContext,
    /// The task that wakes the thread when the server stops, once the thread has waited.
    wakeup: OnceCell<Option<AbortHandle>>,
}

impl ServerStop {
    /// Spawns a task that notifies the thread when the server stops. No stop is missed: the task checks the current
    /// stage before it waits, and the thread checks the stage again after each notification.
    fn wake_when_stopping(&self, client: &ResponseWatch) {
        self.wakeup.get_or_init(|| {
            let client = client.clone();
            self.context.when_stopping(move || client.notify())
        });
    }
}

/// The request is over.
impl Drop for ServerStop {
    fn drop(&mut self) {
        if let Some(Some(task)) = self.wakeup.get() {
            task.abort();
        }
    }
}
