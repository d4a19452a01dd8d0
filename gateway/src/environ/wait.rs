//! Waiting for the end of a request.
//!
//! Threads: the application's; blocks.

use std::cell::OnceCell;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::Environ;
use crate::connection_context::ConnectionContext;
use crate::response::message::ResponseWatch;

/// What ended an [`Environ::wait`].
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

/// # The end of a request
impl Environ {
    /// Whether the client has disconnected, or gets no more bytes. The call is cheap; use it in long work between two
    /// writes.
    ///
    /// While nothing is sent, a server notices a disconnect only once it has read the whole request.
    pub fn client_disconnected(&self) -> bool {
        self.wait_for_disconnect(Duration::ZERO)
    }

    /// Waits until [`client_disconnected`](Environ::client_disconnected) is true, for at most `timeout`. Returns
    /// whether it is.
    pub fn wait_for_disconnect(&self, timeout: Duration) -> bool {
        self.wait_unless(timeout, || false)
    }

    /// Whether the server stops, and waits for this request. Under a server other than [`serve`](crate::serve()) it is
    /// never true. The call is cheap.
    pub fn stopping(&self) -> bool {
        self.server.as_ref().is_some_and(ServerStop::is_stopping)
    }

    /// Waits until the client has disconnected or the server stops, for at most `timeout`: the pause of a loop that
    /// sends events for as long as the client listens.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gateway::{Chunks, Environ, StartResponse, Wait, wsgi_app};
    ///
    /// #[wsgi_app]
    /// fn ticks(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
    ///     let write = start_response("200 OK", &[("Content-Type", "text/event-stream")])?;
    ///     write.send(":\n\n")?;
    ///     while environ.wait(Duration::from_millis(1)) == Wait::Elapsed {
    ///         write.send("data: tick\n\n")?;
    ///     }
    ///     Ok(Chunks::empty())
    /// }
    /// # let client = gateway::testing::Client::new(ticks);
    /// # let response = client.request("GET", "/").disconnect_after(30).send();
    /// # assert_eq!(response.outcome(), gateway::testing::Outcome::Disconnected);
    /// ```
    pub fn wait(&self, timeout: Duration) -> Wait {
        if let Some(server) = self.server.as_ref().filter(|_| !timeout.is_zero()) {
            server.wake_when_stopping(&self.client);
        }
        if self.wait_unless(timeout, || self.stopping()) {
            Wait::ClientGone
        } else if self.stopping() {
            Wait::Stopping
        } else {
            Wait::Elapsed
        }
    }

    fn wait_unless(&self, timeout: Duration, is_over: impl Fn() -> bool) -> bool {
        let gone = self.client.wait_closed_unless(timeout, is_over);
        self.observed_disconnect.set(self.observed_disconnect.get() || gone);
        gone
    }

    /// Sets the connection whose server may stop.
    pub(crate) fn set_server(&mut self, context: ConnectionContext) {
        self.server = Some(ServerStop { context, wakeup: OnceCell::new() });
    }
}

/// The server of a request.
pub(super) struct ServerStop {
    context: ConnectionContext,
    /// The task that wakes the thread when the server stops, once the thread has waited.
    wakeup: OnceCell<Option<AbortHandle>>,
}

impl ServerStop {
    fn is_stopping(&self) -> bool {
        self.context.is_stopping()
    }

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
