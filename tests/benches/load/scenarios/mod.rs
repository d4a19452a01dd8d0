//! What is done to the servers, one file for each kind of load.

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
mod untaken;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::lab::{Contender, Lab};
use crate::report::Sheet;

type Run = fn(&Lab, Contender) -> BoxFuture<'_, anyhow::Result<Sheet>>;

/// One kind of load.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The load, in a sentence or two; a quick run has less of it.
    pub(crate) load: fn(quick: bool) -> String,
    /// Starts a server and puts it under the load.
    pub(crate) run: Run,
    /// The servers under the load; the gateway first.
    pub(crate) contenders: &'static [Contender],
    /// Whether all are under load at the same time: where waiting is all they do, none disturbs the others.
    pub(crate) at_once: bool,
    /// Whether it runs only when it is named.
    pub(crate) asked_for: bool,
    /// Longer than it takes with one server, so that one that hangs is a failure and no more.
    pub(crate) longest: fn(&Lab) -> Duration,
}

impl Scenario {
    const fn new(name: &'static str, load: fn(bool) -> String, run: Run) -> Self {
        let contenders = &[Contender::Gateway, Contender::SpawnBlocking];
        let longest = |_: &Lab| Duration::from_secs(150);
        Self { name, load, run, contenders, at_once: false, asked_for: false, longest }
    }

    /// Only the gateway is under the load.
    const fn alone(self) -> Self {
        Self { contenders: &[Contender::Gateway], ..self }
    }

    /// So are the servers in Python: their own server is what is under load.
    const fn with_python(self) -> Self {
        let contenders = &[Contender::Gateway, Contender::SpawnBlocking, Contender::Waitress, Contender::Granian];
        Self { contenders, ..self }
    }

    const fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }
}

/// Every scenario, in the order of the threats they stand for.
pub(crate) const ALL: [Scenario; 22] = [
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
    graceful_stop::SCENARIO,
    rolling_restart::SCENARIO,
    disconnects::SCENARIO,
    leak::SCENARIO,
    idle::SCENARIO,
    soak::SCENARIO,
];
