//! The server's part of a request's connection: response memory and the server's stage.
//!
//! Threads: any; never blocks.

#![cfg_attr(not(feature = "serve"), allow(dead_code, reason = "only the server makes contexts"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The response memory of a connection, and the stage of its server. [`serve`](crate::serve()) puts it into the
/// extensions of each request. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionContext(Arc<SharedContext>);

#[derive(Debug)]
struct SharedContext {
    server: Arc<Account>,
    connection: Account,
    stage: watch::Receiver<ServerStage>,
    /// The runtime of the connection. `None` in tests of the memory alone.
    runtime: Option<Handle>,
    is_closed: AtomicBool,
}

/// Marks its connection as closed when it is dropped.
pub(crate) struct ConnectionGuard(ConnectionContext);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.0.is_closed.store(true, Ordering::Relaxed);
    }
}

/// The stage of a server, for its connections and their handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerStage {
    /// Take requests.
    Serving,
    /// Finish the requests that have begun.
    Draining,
    /// End now.
    Cut,
}

/// Counts the bytes of complete responses that their clients have not taken.
#[derive(Debug)]
pub(crate) struct Account {
    limit: usize,
    used: AtomicUsize,
}

impl Account {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    fn try_add(&self, bytes: usize) -> bool {
        // One atomic check and addition, so that concurrent responses cannot exceed the limit together. `Relaxed`,
        // because the counter guards no other memory.
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.limit)
            })
            .is_ok()
    }

    fn subtract(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The divisor of the server's memory for one connection.
const SHARE_OF_CONNECTION: usize = 4;

impl ConnectionContext {
    /// The context of a new connection, which may have a quarter of the server's memory.
    pub(crate) fn new(server: &Arc<Account>, stage: watch::Receiver<ServerStage>) -> Self {
        let connection = Account::new(server.limit / SHARE_OF_CONNECTION);
        let runtime = Handle::try_current().ok();
        let is_closed = AtomicBool::new(false);
        Self(Arc::new(SharedContext { server: Arc::clone(server), connection, stage, runtime, is_closed }))
    }

    /// The guard of the task that serves the connection.
    pub(crate) fn guard(&self) -> ConnectionGuard {
        ConnectionGuard(self.clone())
    }

    /// Whether the connection has ended. `Relaxed`, because the flag guards no other memory.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Relaxed)
    }

    /// Reserves memory for a complete response, if both limits allow it.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reserved> {
        if !self.0.connection.try_add(bytes) {
            return None;
        }
        // Undone if the server has no room: the bytes must count in both accounts or in none.
        if !self.0.server.try_add(bytes) {
            self.0.connection.subtract(bytes);
            return None;
        }
        Some(Reserved { context: self.clone(), bytes })
    }

    /// Whether the server drains or has ended.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stage.borrow() != ServerStage::Serving
    }

    /// Calls `notify` in a task once the server stops, or has stopped. Abort the task once no thread waits.
    pub(crate) fn when_stopping(&self, notify: impl FnOnce() + Send + 'static) -> Option<AbortHandle> {
        let mut stage = self.0.stage.clone();
        let task = async move {
            // The sender is dropped with the server and its connections: then the clients are gone, too.
            if stage.wait_for(|stage| *stage != ServerStage::Serving).await.is_ok() {
                notify();
            }
        };
        Some(self.0.runtime.as_ref()?.spawn(task).abort_handle())
    }

    /// A receiver of the server's stage, now and later.
    pub(crate) fn stage(&self) -> watch::Receiver<ServerStage> {
        self.0.stage.clone()
    }
}

/// A reservation of server memory for a response. Dropping it releases the memory.
#[derive(Debug)]
pub(crate) struct Reserved {
    context: ConnectionContext,
    bytes: usize,
}

impl Reserved {
    /// The same bytes, which stay reserved until the last part of them is dropped, on any thread.
    pub(crate) fn until_dropped(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Counted { bytes, _reserved: self })
    }
}

struct Counted<B> {
    bytes: B,
    _reserved: Reserved,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.context.0.connection.subtract(self.bytes);
        self.context.0.server.subtract(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BP-02: neither a connection nor a server exceeds its limit, and released memory can be reserved again.
    #[test]
    fn memory_is_reserved_within_both_limits() {
        let server = Arc::new(Account::new(100));
        let contexts = [(); 5].map(|()| ConnectionContext::new(&server, watch::channel(ServerStage::Serving).1));
        assert!(contexts[0].try_reserve(26).is_none(), "more than a connection may have");
        let mut reserved: Vec<_> = contexts.iter().map(|context| context.try_reserve(25)).collect();
        assert_eq!(reserved.iter().flatten().count(), 4, "more than the server has");
        assert!(contexts[4].try_reserve(1).is_none());
        reserved.remove(0);
        assert!(contexts[0].try_reserve(25).is_some());
        drop(reserved);
        assert_eq!(
            (server.used.load(Ordering::Relaxed), contexts[1].0.connection.used.load(Ordering::Relaxed)),
            (0, 0)
        );
    }
}
