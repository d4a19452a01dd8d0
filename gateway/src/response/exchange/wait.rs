//! Waiting for the end of the request between two writes.
//!
//! Threads: pool; blocks.

use std::time::Duration;

use crate::response::exchange::Exchange;
use crate::response::request_end::{RequestEnd, Wait};

impl Exchange {
    /// Waits until the client has disconnected or the server stops, for at most `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) -> Wait {
        let end = self.end.get_or_init(|| {
            let mut end = RequestEnd::new(self.messages.watch());
            if let Some(context) = &self.options.context {
                end.set_server(context.clone());
            }
            end
        });
        let wait = end.wait(timeout);
        // At the deadline the future and the body close the pipe, too. A client that has its whole response may leave.
        if wait == Wait::ClientGone && !self.is_late() && !self.is_complete() {
            self.state.borrow_mut().knows_client_gone = true;
        }
        wait
    }
}
