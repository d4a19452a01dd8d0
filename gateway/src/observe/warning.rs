//! What an operator is told once, because nothing else would show it.
//!
//! Threads: any; `unheard` blocks where stderr does.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::log;
use crate::log_text::LogField;

/// A warning that is said at most once.
#[derive(Debug, Default)]
pub(crate) struct Warning {
    is_said: AtomicBool,
}

impl Warning {
    /// One that is still to be said.
    pub(crate) const fn new() -> Self {
        Self { is_said: AtomicBool::new(false) }
    }

    /// One that is not to be said.
    pub(crate) const fn waived() -> Self {
        Self { is_said: AtomicBool::new(true) }
    }

    /// Says it, if it was not said before and there is a subscriber that takes warnings. So what happens before the
    /// program has set up its log is said the next time.
    fn say(&self, say: impl FnOnce()) {
        // A load comes first, as it leaves the flag where it is in the caches of all threads.
        if !self.is_said.load(Ordering::Relaxed)
            && log::enabled!(log::Level::WARN)
            && !self.is_said.swap(true, Ordering::Relaxed)
        {
            say();
        }
    }

    /// A mount has been asked for the peer of a request, and its server does not tell it.
    pub(crate) fn no_peer(&self, mount: &str) {
        self.say(|| {
            log::warn!(
                parent: None,
                mount,
                "the server does not tell where requests come from, so REMOTE_ADDR is absent; {TELL_IT}"
            );
        });
    }

    /// Trusted proxies are to be believed, and the server does not tell who sends a request.
    pub(crate) fn no_proxy(&self) {
        self.say(|| {
            log::warn!(
                parent: None,
                "the server does not tell where requests come from, so no proxy is trusted and no forwarding header believed; \
                 {TELL_IT}"
            );
        });
    }
}

/// How to serve so that requests know their peers.
const TELL_IT: &str = "serve with `gateway::serve`, or give `axum::serve` \
                       `app.into_make_service_with_connect_info::<SocketAddr>()`; on a Unix socket, where nobody has an address, \
                       say so with the layer `axum::Extension(gateway::LocalAddr::Unix)`";

/// What becomes of panics in this program.
const STRATEGY: Strategy = if cfg!(panic = "abort") { Strategy::Abort } else { Strategy::Unwind };

#[derive(Debug, Clone, Copy)]
enum Strategy {
    Unwind,
    Abort,
}

impl Strategy {
    /// What there is to be said about it.
    fn warning(self) -> Option<&'static str> {
        match self {
            Self::Unwind => None,
            Self::Abort => Some(
                "this program is built with panic = \"abort\": a panic of an application ends the process, with all requests that \
                 are running, instead of being answered with 500; remove the line from the profile in Cargo.toml, or set it to \
                 \"unwind\"",
            ),
        }
    }
}

/// Says what a panic costs, if it is more than the response of its request.
pub(crate) fn panics() {
    static WARNING: Warning = Warning::new();
    if let Some(text) = STRATEGY.warning() {
        WARNING.say(|| log::warn!("{text}"));
    }
}

/// A request has failed, and the program has no subscriber, so that its author sees nothing but a 500. Said once, on
/// stderr.
///
/// Threads: pool; blocks where stderr is a full pipe.
pub(crate) fn unheard(failure: &str) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if log::has_been_set()
        || IS_SAID.load(Ordering::Relaxed)
        || log::is_passed_on()
        || IS_SAID.swap(true, Ordering::Relaxed)
    {
        return;
    }
    let line = format!(
        "gateway: a request has failed: {}; this program has no `tracing` subscriber, so its failures are in no log: begin `main` with \
         `tracing_subscriber::fmt().init()`, for instance; this is said once\n",
        LogField(failure)
    );
    // An error is ignored: `eprintln!` would panic, and the request does not depend on this line.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A server listens on a Unix socket.
#[cfg(all(unix, feature = "serve"))]
pub(crate) fn unix_socket() {
    log::warn!(
        parent: None,
        "on a Unix socket, no connection can be reset, so that a response to HTTP/1.0 that is broken off looks complete unless it has a \
         Content-Length; have the proxy in front speak HTTP/1.1: in nginx, `proxy_http_version 1.1;` beside `proxy_pass`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_aborts_is_warned_of_panics() {
        assert_eq!(Strategy::Unwind.warning(), None);
        let text = Strategy::Abort.warning().unwrap();
        assert!(text.contains("panic = \"abort\"") && text.contains("ends the process"), "{text}");
        // Tests are always built to unwind.
        assert!(STRATEGY.warning().is_none());
    }

    #[test]
    fn a_warning_that_nobody_hears_is_kept() {
        let warning = Warning::new();
        log::without_subscriber(|| warning.say(|| panic!("there is nobody to say it to")));
        assert!(!warning.is_said.into_inner());
    }
}
