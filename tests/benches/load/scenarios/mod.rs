//! The scenarios, one file for each kind of load.

mod disconnects;
mod graceful_stop;
mod idle;
mod leak;
mod overload;
mod panics;
mod refused_uploads;
mod reset_flood;
mod rolling_restart;
mod slow_heads;
mod slow_large_uploads;
mod slow_readers;
mod slow_uploads;
mod smuggling;
mod soak;
mod stalled_uploads;
mod truncation;
mod turning;
mod untaken;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub(crate) use self::soak::NAME as SOAK;
use crate::lab::{Contender, Lab};
use crate::report::Sheet;

type Run = fn(&Lab, Contender) -> BoxFuture<'_, anyhow::Result<Sheet>>;

/// One kind of load.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A description of the load; a quick run has a smaller load.
    pub(crate) load: fn(quick: bool) -> String,
    /// Starts a server and applies the load.
    pub(crate) run: Run,
    /// The servers under the load; the gateway is the first.
    pub(crate) contenders: &'static [Contender],
    /// Whether all servers are under load at the same time; for loads that mostly wait, so that the servers do not
    /// disturb each other.
    pub(crate) at_once: bool,
    /// Whether the scenario runs only if it is named.
    pub(crate) asked_for: bool,
    /// The timeout of the scenario for one server: a server that hangs fails, and the run continues.
    pub(crate) longest: fn(&Lab) -> Duration,
}

impl Scenario {
    const fn new(name: &'static str, load: fn(bool) -> String, run: Run) -> Self {
        let contenders = &[Contender::Gateway, Contender::SpawnBlocking];
        let longest = |_: &Lab| Duration::from_secs(150);
        Self { name, load, run, contenders, at_once: false, asked_for: false, longest }
    }

    /// Measure the gateway only.
    const fn alone(self) -> Self {
        Self { contenders: &[Contender::Gateway], ..self }
    }

    /// Measure the Python servers as well, because the load tests the HTTP server itself.
    const fn with_python(self) -> Self {
        let contenders = &[Contender::Gateway, Contender::SpawnBlocking, Contender::Waitress, Contender::Granian];
        Self { contenders, ..self }
    }

    const fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }
}

/// All scenarios, ordered by the threat that they represent.
pub(crate) const ALL: [Scenario; 25] = [
    slow_uploads::SCENARIO,
    slow_large_uploads::DEFAULTS,
    slow_large_uploads::SPOOLED,
    stalled_uploads::SCENARIO,
    refused_uploads::SCENARIO,
    smuggling::SCENARIO,
    slow_heads::SCENARIO,
    slow_readers::SMALL,
    slow_readers::LARGE,
    untaken::HTTP1,
    untaken::HTTP2,
    untaken::BODIES,
    overload::SCENARIO,
    reset_flood::SCENARIO,
    truncation::SCENARIO,
    panics::SCENARIO,
    turning::SLEEPING,
    turning::PANICKING,
    turning::STUCK,
    graceful_stop::SCENARIO,
    rolling_restart::SCENARIO,
    disconnects::SCENARIO,
    leak::SCENARIO,
    idle::SCENARIO,
    soak::SCENARIO,
];
