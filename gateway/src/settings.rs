//! The values of the settings of a mount, with their defaults.
//!
//! Threads: any.

use std::sync::Arc;
use std::time::Duration;

use crate::body::spool::Spool;
use crate::observe::line_sink::LineSink;
use crate::observe::metrics::Figures;
use crate::observe::warning::Warning;
use crate::response::error_page::ErrorPage;
use crate::run_times::RunTimes;

/// The settings of a [`Gateway`], whose methods document them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The name of the mount.
    pub(crate) name: Arc<str>,
    /// The name was set; it is not the name of a type.
    pub(crate) is_named: bool,
    pub(crate) figures: Arc<Figures>,
    pub(crate) run_times: Arc<RunTimes>,
    pub(crate) body_limit: u64,
    pub(crate) read_ahead: usize,
    pub(crate) spool: Option<Spool>,
    pub(crate) body_idle: Duration,
    pub(crate) body_deadline: Duration,
    pub(crate) response_buffer: usize,
    pub(crate) write_stall: Duration,
    pub(crate) deadline: Option<Duration>,
    pub(crate) server_name: Option<String>,
    pub(crate) server_port: Option<u16>,
    pub(crate) https: bool,
    pub(crate) multiprocess: bool,
    /// Percent-encoded; empty, or a slash and more.
    pub(crate) script_name: String,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) error_page: ErrorPage,
    pub(crate) error_log: Option<LineSink>,
    /// The warning about a server that does not report the peer. Clones share it.
    pub(crate) no_peer: Arc<Warning>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: Arc::from(""),
            is_named: false,
            figures: Arc::new(Figures::of("")),
            run_times: Arc::default(),
            body_limit: 16 * 1024 * 1024,
            read_ahead: 64 * 1024,
            spool: None,
            body_idle: Duration::from_secs(30),
            body_deadline: Duration::from_secs(600),
            response_buffer: 256 * 1024,
            write_stall: Duration::from_secs(60),
            deadline: None,
            server_name: None,
            server_port: None,
            https: false,
            multiprocess: false,
            script_name: String::new(),
            variables: Vec::new(),
            error_page: ErrorPage::default(),
            error_log: None,
            no_peer: Arc::new(Warning::new()),
        }
    }
}

impl Settings {
    /// The same settings for a mount with this name.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: Arc::from(name), figures: Arc::new(Figures::of(name)), run_times: Arc::default(), ..self }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
