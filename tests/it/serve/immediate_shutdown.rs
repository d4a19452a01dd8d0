//! Shutdown without a grace period: POOL-18.

use std::time::Duration;

use gateway::serve::ShutdownReport;
use gateway_tests::{Flavour, Gate, Stoppable, until};
use tokio::sync::oneshot;

use super::{gated, pool, serve_gated};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// A server that must shut down when the sender is dropped.
fn serve(flavour: Flavour) -> (oneshot::Sender<()>, Stoppable, Gate) {
    let (immediate, is_immediate) = oneshot::channel();
    let (server, gate) = serve_gated(flavour, move |server| server.grace(LONG).with_immediate_shutdown(is_immediate));
    (immediate, server, gate)
}

/// The numbers of remaining requests and connections.
fn left(report: &ShutdownReport) -> (usize, usize) {
    (report.running.len(), report.connections_cut)
}

#[test]
fn an_immediate_shutdown_ends_a_drain() {
    for flavour in Flavour::ALL {
        let (immediate, mut server, gate) = serve(flavour);
        let mut running = server.get("/gated");
        gate.await_call();
        let mut idle = server.get("/fast");
        assert_eq!(idle.reply().text(), "fast");
        server.stop();
        // The server drains.
        assert!(idle.is_closed());
        drop(immediate);
        assert_eq!(left(&server.report()), (1, 1));
        assert!(running.is_closed());
    }
}

#[test]
fn an_immediate_shutdown_needs_no_drain_before() {
    for flavour in Flavour::ALL {
        let (immediate, server, gate) = serve(flavour);
        let mut running = server.get("/gated");
        gate.await_call();
        drop(immediate);
        assert!(running.is_closed());
        assert_eq!(left(&server.ended()), (1, 1));
    }
}

/// The immediate shutdown also ends the wait for jobs whose clients have disconnected.
#[test]
fn orphaned_jobs_do_not_hold_up_an_immediate_shutdown() {
    for flavour in Flavour::ALL {
        let (gate, waiter) = Gate::pair();
        let pool = pool(1, 4);
        let figures = pool.clone();
        let (immediate, is_immediate) = oneshot::channel::<()>();
        let mut server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, gated(&pool, waiter)).pool(&pool).grace(LONG).with_immediate_shutdown(is_immediate)
        });
        let gone = server.get("/gated");
        gate.await_call();
        drop(gone);
        server.stop();
        until("the job is orphaned", || figures.stats().orphaned == 1);
        drop(immediate);
        assert_eq!(left(&server.report()), (1, 0));
    }
}

#[test]
fn a_server_installs_no_handler_unasked() {
    let caught = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap()
    };
    let before = caught();
    let (mut server, _gate) = serve_gated(Flavour::CurrentThread, |server| server);
    assert_eq!(server.get("/").reply().text(), "hello");
    assert!(server.report().is_clean());
    assert_eq!(caught(), before);
    for signal in [2, 15] {
        assert_eq!(before >> (signal - 1) & 1, 0, "signal {signal} has a handler");
    }
}
