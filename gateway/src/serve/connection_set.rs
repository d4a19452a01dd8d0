//! The connections of a server.
//!
//! Threads: runtime.

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::log;
use crate::serve::connection::{Ending, Stage};

/// All open connections, each in a task. Dropping it cuts them.
#[derive(Debug)]
pub(super) struct ConnectionSet {
    tasks: JoinSet<Ending>,
    stage: watch::Sender<Stage>,
    /// Whether the server stops, for handlers.
    stopping: watch::Sender<bool>,
}

impl ConnectionSet {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), stage: watch::Sender::new(Stage::Serving), stopping: watch::Sender::new(false) }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Starts a connection. It observes the stage of the server, and its handlers observe the stop.
    pub(super) fn start<C>(&mut self, connection: impl FnOnce(watch::Receiver<Stage>, watch::Receiver<bool>) -> C)
    where
        C: Future<Output = Ending> + Send + 'static,
    {
        self.tasks.spawn(connection(self.stage.subscribe(), self.stopping.subscribe()));
    }

    /// Waits until a connection has ended; for ever without connections. Cancel safe.
    pub(super) async fn ended(&mut self) -> Ending {
        match self.tasks.join_next().await {
            Some(ended) => ending(ended),
            None => std::future::pending().await,
        }
    }

    /// Lets all connections finish. Cancel safe; may be called again.
    pub(super) async fn drain(&mut self) {
        self.stopping.send_replace(true);
        self.stage.send_replace(Stage::Draining);
        while let Some(ended) = self.tasks.join_next().await {
            ending(ended);
        }
    }

    /// Ends all connections, and counts in `cut` those with unfinished requests.
    pub(super) async fn cut(&mut self, cut: &mut usize) {
        self.stage.send_replace(Stage::Cut);
        while let Some(ended) = self.tasks.join_next().await {
            if ending(ended) == Ending::Cut {
                *cut += 1;
            }
        }
    }
}

fn ending(ended: Result<Ending, JoinError>) -> Ending {
    ended.unwrap_or_else(|error| {
        // A panic of a handler ends its connection.
        if error.is_panic() {
            log::error!(%error, "a connection panicked");
        }
        Ending::Closed
    })
}
