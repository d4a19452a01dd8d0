//! The connections of a server.
//!
//! Threads: runtime.

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection_context::ServerStage;
use crate::log;
use crate::serve::connection::Ending;

/// All open connections, each in a task. Dropping it cuts them.
#[derive(Debug)]
pub(super) struct ConnectionSet {
    tasks: JoinSet<Ending>,
    /// A watch keeps the stage: a connection that is not polled when the stage changes finds it at its next poll.
    stage: watch::Sender<ServerStage>,
    /// The number of connections that were cut.
    cut: usize,
}

impl ConnectionSet {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), stage: watch::Sender::new(ServerStage::Serving), cut: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The number of connections that were cut with unfinished requests.
    pub(super) fn cut(&self) -> usize {
        self.cut
    }

    /// Starts a connection, which observes the stage of the server.
    pub(super) fn start<C>(&mut self, connection: impl FnOnce(watch::Receiver<ServerStage>) -> C)
    where
        C: Future<Output = Ending> + Send + 'static,
    {
        self.tasks.spawn(connection(self.stage.subscribe()));
    }

    pub(super) fn set_stage(&self, stage: ServerStage) {
        self.stage.send_replace(stage);
    }

    /// Waits until a connection has ended; `None` without connections. Cancel safe.
    pub(super) async fn ended(&mut self) -> Option<()> {
        match self.tasks.join_next().await? {
            Ok(Ending::Cut) => self.cut += 1,
            // A panic of a handler ends its connection.
            Err(error) if error.is_panic() => log::error!(%error, "a connection panicked"),
            Ok(Ending::Closed) | Err(_) => {}
        }
        Some(())
    }

    /// Waits until all connections have ended. Cancel safe.
    pub(super) async fn all_ended(&mut self) {
        while self.ended().await.is_some() {}
    }
}
