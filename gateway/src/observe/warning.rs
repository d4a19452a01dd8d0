//! Warnings that are logged once.
//!
//! Threads: any; `no_subscriber` blocks if stderr blocks.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::log;
use crate::log_text::LogField;

/// The target of warnings, for filters.
const TARGET: &str = "gateway::warning";

/// A warning that is logged at most once.
#[derive(Debug, Default)]
pub(crate) struct Warning {
    was_logged: AtomicBool,
}

impl Warning {
    /// A warning that was not logged yet.
    pub(crate) const fn new() -> Self {
        Self { was_logged: AtomicBool::new(false) }
    }

    /// Logs the warning, unless it was logged before or no subscriber takes warnings. A warning from before the program
    /// has set up its log is logged the next time.
    fn log_once(&self, event: impl FnOnce()) {
        // The load comes first: a `swap` on each call would move the cache line between the CPUs. The swap picks one of
        // several threads that pass the load at the same time.
        if !self.was_logged.load(Ordering::Relaxed)
            && log::enabled!(log::Level::WARN)
            && !self.was_logged.swap(true, Ordering::Relaxed)
        {
            event();
        }
    }

    /// A mount asks for the peer of a request, which its server does not report.
    pub(crate) fn no_peer(&self, mount: &str) {
        self.log_once(|| {
            log::warn!(
                target: TARGET,
                parent: None,
                mount,
                "the server does not tell where requests come from, so REMOTE_ADDR is absent; {TELL_IT}"
            );
        });
    }

    /// Trusted proxies are configured, but the server does not report the peer of a request.
    pub(crate) fn no_proxy(&self) {
        self.log_once(|| {
            log::warn!(
                target: TARGET,
                parent: None,
                "the server does not tell where requests come from, so no proxy is trusted and no forwarding header believed; \
                 {TELL_IT}"
            );
        });
    }
}

/// How to serve so that requests have their peers.
const TELL_IT: &str = "serve with `gateway::serve`, or give `axum::serve` \
                       `app.into_make_service_with_connect_info::<SocketAddr>()`; on a Unix socket, where nobody has an address, \
                       say so with the layer `axum::Extension(gateway::LocalAddr::Unix)`";

/// Warns if a panic ends the process instead of one response.
pub(crate) fn panics() {
    static WARNING: Warning = Warning::new();
    if cfg!(panic = "abort") {
        WARNING.log_once(|| {
            log::warn!(
                target: TARGET,
                "this program is built with panic = \"abort\": a panic of an application ends the process, with all requests that \
                 are running, instead of being answered with 500; remove the line from the profile in Cargo.toml, or set it to \
                 \"unwind\""
            );
        });
    }
}

/// Reports a failed request on stderr, once, if the program has no subscriber: its author would see only a 500.
///
/// Threads: pool; blocks if stderr is a full pipe.
pub(crate) fn no_subscriber(failure: &str) {
    static WAS_LOGGED: AtomicBool = AtomicBool::new(false);
    if log::has_been_set()
        || WAS_LOGGED.load(Ordering::Relaxed)
        || log::is_passed_on()
        || WAS_LOGGED.swap(true, Ordering::Relaxed)
    {
        return;
    }
    let line = format!(
        "gateway: a request has failed: {}; this program has no `tracing` subscriber, so its failures are in no log: begin `main` with \
         `tracing_subscriber::fmt().init()`, for instance; this is said once\n",
        LogField(failure)
    );
    // Errors are ignored: `eprintln!` would panic, and the request does not depend on this line.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Warns that a server listens on a Unix socket.
#[cfg(all(unix, feature = "serve"))]
pub(crate) fn unix_socket() {
    log::warn!(
        target: TARGET,
        parent: None,
        "on a Unix socket, no connection can be reset, so that a response to HTTP/1.0 that is broken off looks complete unless it has a \
         Content-Length; have the proxy in front speak HTTP/1.1: in nginx, `proxy_http_version 1.1;` beside `proxy_pass`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_without_a_subscriber_is_logged_later() {
        let warning = Warning::new();
        log::without_subscriber(|| warning.log_once(|| panic!("there is no subscriber")));
        assert!(!warning.was_logged.into_inner());
    }
}
