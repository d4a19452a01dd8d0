//! The connections of a server.
//!
//! Threads: runtime.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection_context::ServerStage;
use crate::log;
use crate::pool::drivers::{DrivenTask, Drivers};
use crate::serve::connection::Ending;

/// All open connections, each in a task. Dropping it cuts them.
pub(super) struct ConnectionSet<'d> {
    tasks: Tasks<'d>,
    /// A watch keeps the stage: a connection that is not polled when the stage changes finds it at its next poll.
    stage: watch::Sender<ServerStage>,
    /// The number of connections that were cut.
    cut: usize,
}

/// Who polls the connections.
enum Tasks<'d> {
    Runtime(JoinSet<Ending>),
    Drivers(&'d Drivers, FuturesUnordered<DrivenTask<Ending>>),
}

impl<'d> ConnectionSet<'d> {
    /// Connections that drivers poll, if there are any.
    pub(super) fn new(drivers: Option<&'d Drivers>) -> Self {
        let tasks = match drivers {
            Some(drivers) => Tasks::Drivers(drivers, FuturesUnordered::new()),
            None => Tasks::Runtime(JoinSet::new()),
        };
        Self { tasks, stage: watch::Sender::new(ServerStage::Serving), cut: 0 }
    }

    pub(super) fn len(&self) -> usize {
        match &self.tasks {
            Tasks::Runtime(tasks) => tasks.len(),
            Tasks::Drivers(_, tasks) => tasks.len(),
        }
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
        let connection = connection(self.stage.subscribe());
        match &mut self.tasks {
            Tasks::Runtime(tasks) => drop(tasks.spawn(connection)),
            Tasks::Drivers(drivers, tasks) => tasks.push(drivers.spawn(Handle::current(), connection)),
        }
    }

    pub(super) fn set_stage(&self, stage: ServerStage) {
        self.stage.send_replace(stage);
    }

    /// Waits until a connection has ended; `None` without connections. Cancel safe.
    pub(super) async fn ended(&mut self) -> Option<()> {
        let ended = match &mut self.tasks {
            Tasks::Runtime(tasks) => tasks.join_next().await?,
            // The drivers have logged a panic.
            Tasks::Drivers(_, tasks) => Ok(tasks.next().await?.unwrap_or_default()),
        };
        match ended {
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
