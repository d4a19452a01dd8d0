//! What a deployment sets for a mount.

use std::time::Duration;

/// The settings of a [`Gateway`](crate::Gateway); its methods say what each of them means.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) body_limit: u64,
    pub(crate) read_ahead: usize,
    pub(crate) body_idle: Duration,
    pub(crate) body_deadline: Duration,
    pub(crate) response_buffer: usize,
    pub(crate) write_stall: Duration,
    pub(crate) server_name: Option<String>,
    pub(crate) server_port: Option<u16>,
    pub(crate) https: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 16 * 1024 * 1024,
            read_ahead: 64 * 1024,
            body_idle: Duration::from_secs(30),
            body_deadline: Duration::from_secs(600),
            response_buffer: 256 * 1024,
            write_stall: Duration::from_secs(60),
            server_name: None,
            server_port: None,
            https: false,
        }
    }
}
