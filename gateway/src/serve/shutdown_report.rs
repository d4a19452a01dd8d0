//! The report of a server's shutdown.
//!
//! Threads: any.

use std::fmt;

use crate::RunningJob;
use crate::log;

/// The requests and connections that were left when the grace of a server was over. Returned by
/// [`Server::run`](crate::serve::Server::run).
///
/// # Example
///
/// ```no_run
/// # async fn run(app: axum::Router, pool: gateway::Pool) -> std::io::Result<std::process::ExitCode> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
/// let server = gateway::serve(listener, app).pool(&pool).stop_on_signals()?;
/// let report = server.run().await?;
/// Ok(if report.is_clean() { 0 } else { 1 }.into())
/// # }
/// # let _ = run;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The requests that were still running on the server's pools. Their threads cannot be ended, only left behind.
    pub running: Vec<RunningJob>,
    /// The number of connections that were closed before their requests were finished.
    pub connections_cut: usize,
}

impl ShutdownReport {
    /// Whether nothing was left behind.
    pub fn is_clean(&self) -> bool {
        self.running.is_empty() && self.connections_cut == 0
    }

    /// Logs a warning for each request left behind, and one for the connections.
    pub(super) fn log(&self) {
        for RunningJob { mount, age, thread, .. } in &self.running {
            log::warn!(mount, ?age, thread, "a request was still running when the grace was over");
        }
        if self.connections_cut > 0 {
            log::warn!(connections = self.connections_cut, "connections were cut when the grace was over");
        }
        if self.is_clean() {
            log::info!("the server has stopped, and nothing was left");
        }
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections cut, {} requests left running", self.connections_cut, self.running.len())?;
        for (number, RunningJob { mount, age, thread, .. }) in self.running.iter().enumerate() {
            let before = if number == 0 { ": " } else { ", " };
            write!(f, "{before}{mount:?} on {thread} for {age:.1?}")?;
        }
        Ok(())
    }
}
