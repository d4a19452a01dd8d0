//! Taking connections from the system, whatever it says.
//!
//! Threads: runtime.

use std::io;
use std::time::Duration;

use crate::log;
use crate::serve::Listener;

/// How long to leave a system alone that has no room for another connection.
const PAUSE: Duration = Duration::from_millis(500);

/// The next connection. Neither ends nor spins when there is none to be had: what is missing, such as file descriptors,
/// comes back as connections end.
pub(super) async fn accept<L: Listener>(listener: &mut L) -> L::Opening {
    loop {
        match listener.accept().await {
            Ok(opening) => return opening,
            // The client was gone before it was accepted.
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
