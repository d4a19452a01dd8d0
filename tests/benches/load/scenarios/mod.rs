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

use async_trait::async_trait;

use crate::lab::{Contender, Lab};
use crate::report::Sheet;

/// One kind of load.
#[async_trait]
pub(crate) trait Scenario: Send + Sync {
    fn name(&self) -> &'static str;

    /// The load, in a sentence or two.
    fn load(&self, quick: bool) -> String;

    /// Who is put under it; the gateway first.
    fn contenders(&self) -> &'static [Contender] {
        &[Contender::Gateway, Contender::SpawnBlocking]
    }

    /// Whether all are under load at the same time: where waiting is all they do, none disturbs the others.
    fn at_once(&self) -> bool {
        false
    }

    /// Whether it runs only when it is named.
    fn is_asked_for(&self) -> bool {
        false
    }

    /// Longer than it takes with one server, so that one that hangs is a failure and no more.
    fn longest(&self, _: &Lab) -> Duration {
        Duration::from_secs(150)
    }

    /// Starts a server and puts it under the load.
    async fn run(&self, lab: &Lab, contender: Contender) -> anyhow::Result<Sheet>;
}

/// Every scenario, in the order of the threats they stand for.
pub(crate) fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(slow_uploads::SlowUploads),
        Box::new(slow_large_uploads::SlowLargeUploads { spool: false }),
        Box::new(slow_large_uploads::SlowLargeUploads { spool: true }),
        Box::new(stalled_uploads::StalledUploads),
        Box::new(refused_uploads::RefusedUploads),
        Box::new(smuggling::Smuggling),
        Box::new(slow_heads::SlowHeads),
        Box::new(slow_readers::Small),
        Box::new(slow_readers::Large),
        Box::new(untaken::Http1),
        Box::new(untaken::Http2),
        Box::new(untaken::Bodies),
        Box::new(overload::Overload),
        Box::new(reset_flood::ResetFlood),
        Box::new(truncation::Truncation),
        Box::new(panics::Panics),
        Box::new(graceful_stop::GracefulStop),
        Box::new(rolling_restart::RollingRestart),
        Box::new(disconnects::Disconnects),
        Box::new(leak::Leak),
        Box::new(idle::Idle),
        Box::new(soak::Soak),
    ]
}

/// Those with whom the others are compared where it is their own server that is under load.
pub(crate) const EVERYBODY: &[Contender] =
    &[Contender::Gateway, Contender::SpawnBlocking, Contender::Waitress, Contender::Granian];
