//! The connections of a server that the drivers of a pool poll.
//!
//! Threads: runtime.

use std::collections::HashMap;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::pool::drivers::{DrivenTask, Drivers};
use crate::serve::connection::Ending;

/// Open connections on drivers. Dropping it cuts them.
pub(super) struct DrivenConnections {
    tasks: HashMap<u64, DrivenTask>,
    /// The number of the next connection.
    next: u64,
    ended: UnboundedReceiver<(u64, Ending)>,
    report: UnboundedSender<(u64, Ending)>,
}

/// Reports the end of a connection when it is dropped, even by a panic.
struct Report {
    number: u64,
    ending: Ending,
    report: UnboundedSender<(u64, Ending)>,
}

impl DrivenConnections {
    pub(super) fn new() -> Self {
        let (report, ended) = unbounded_channel();
        Self { tasks: HashMap::new(), next: 0, ended, report }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn start(&mut self, drivers: &Drivers, connection: impl Future<Output = Ending> + Send + 'static) {
        let number = self.next;
        self.next += 1;
        let mut report = Report { number, ending: Ending::Closed, report: self.report.clone() };
        let task = drivers.spawn(
            Handle::current(),
            Box::pin(async move {
                let ending = connection.await;
                report.end(ending);
            }),
        );
        self.tasks.insert(number, task);
    }

    /// Waits until a connection has ended; `None` without connections. Cancel safe.
    pub(super) async fn ended(&mut self) -> Option<Ending> {
        if self.tasks.is_empty() {
            return None;
        }
        let (number, ending) = std::future::poll_fn(|cx| self.ended.poll_recv(cx)).await?;
        self.tasks.remove(&number);
        Some(ending)
    }
}

impl Report {
    fn end(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // The receiver is gone if the server is: then nobody asks.
        let _ = self.report.send((self.number, self.ending));
    }
}
