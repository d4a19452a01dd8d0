//! Accepting connections, despite errors.
//!
//! Threads: runtime.

use std::io;
use std::time::Duration;

use crate::log;
use crate::serve::Listener;

/// The pause after an error that concerns all connections.
const PAUSE: Duration = Duration::from_millis(500);

/// Accepts the next connection. Does not fail and does not spin when resources such as file descriptors are exhausted:
/// they become free as connections end.
pub(super) async fn accept<L: Listener>(listener: &mut L) -> L::Opening {
    loop {
        match listener.accept().await {
            Ok(opening) => return opening,
            // The client disconnected before the accept.
            Err(error) if is_of_one_connection(&error) => log::debug!(%error, "a connection was not accepted"),
            Err(error) => {
                log::error!(%error, "no connection can be accepted; trying again in half a second");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
