//! Waiting for the end of a request.
//!
//! Threads: the application's; blocks.

use std::time::Duration;

use crate::connection_context::ConnectionContext;
use crate::{Environ, Wait};

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
        self.note_disconnect(self.end.wait_for_disconnect(timeout))
    }

    /// Whether the server stops, and waits for this request. Under a server other than [`serve`](crate::serve()) it is
    /// never true. The call is cheap.
    pub fn stopping(&self) -> bool {
        self.end.is_stopping()
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
        let wait = self.end.wait(timeout);
        self.note_disconnect(wait == Wait::ClientGone);
        wait
    }

    fn note_disconnect(&self, gone: bool) -> bool {
        self.observed_disconnect.set(self.observed_disconnect.get() || gone);
        gone
    }

    /// Sets the connection whose server may stop.
    pub(crate) fn set_server(&mut self, context: ConnectionContext) {
        self.end.set_server(context);
    }
}
