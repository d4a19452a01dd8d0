//! Shutdown without a grace: POOL-18.

use std::time::Duration;

use gateway::serve::ShutdownReport;
use gateway_tests::{Flavour, Stoppable};
use tokio::sync::oneshot;

use super::{gate, gated, pool};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// What was left: requests, and connections.
fn left(report: &ShutdownReport) -> (usize, usize) {
    (report.running.len(), report.connections_cut)
}

/// A drain that waits for a request ends at the immediate shutdown.
#[test]
fn a_drain_ends_at_once_when_it_is_told_to() {
    for flavour in Flavour::ALL {
        let (gate, waiting) = gate();
        let pool = pool(1, 4);
        let (hurry, hurried) = oneshot::channel::<()>();
        let mut server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, gated(&pool, waiting)).pool(&pool).grace(LONG).with_immediate_shutdown(hurried)
        });
        let mut running = server.get("/gated");
        gate.await_call();
        let mut idle = server.get("/fast");
        assert_eq!(idle.reply().text(), "fast");
        server.stop();
        // It drains.
        assert!(idle.is_closed());
        drop(hurry);
        assert_eq!(left(&server.report()), (1, 1));
        assert!(running.is_closed());
    }
}

/// A server that was not draining stops, too.
#[test]
fn a_server_stops_at_once_when_it_is_told_to() {
    for flavour in Flavour::ALL {
        let (gate, waiting) = gate();
        let pool = pool(1, 4);
        let (hurry, hurried) = oneshot::channel::<()>();
        let (stop, reports) = {
            let (bound, address) = std::sync::mpsc::channel();
            let run = Stoppable::run(flavour, move || {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                gateway::serve(listener, gated(&pool, waiting)).pool(&pool).grace(LONG).with_immediate_shutdown(hurried)
            });
            let mut running = gateway_tests::Connection::open(address.recv().unwrap());
            running.send("GET /gated HTTP/1.1\r\nHost: h\r\n\r\n");
            gate.await_call();
            drop(hurry);
            assert!(running.is_closed());
            run
        };
        let report = reports.recv_timeout(Duration::from_secs(20)).expect("it stops");
        assert_eq!(left(&report), (1, 1));
        drop(stop);
    }
}

/// The immediate shutdown also ends the wait for threads whose connections are gone.
#[test]
fn threads_that_are_left_alone_do_not_outlast_the_patience() {
    for flavour in Flavour::ALL {
        let (gate, waiting) = gate();
        let pool = pool(1, 4);
        let figures = pool.clone();
        let (hurry, hurried) = oneshot::channel::<()>();
        let mut server = Stoppable::start(flavour, move |listener| {
            gateway::serve(listener, gated(&pool, waiting)).pool(&pool).grace(LONG).with_immediate_shutdown(hurried)
        });
        let gone = server.get("/gated");
        gate.await_call();
        drop(gone);
        server.stop();
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while figures.stats().orphaned == 0 {
            assert!(std::time::Instant::now() < end, "the client has left");
            std::thread::yield_now();
        }
        drop(hurry);
        assert_eq!(left(&server.report()), (1, 0));
    }
}

/// The library installs no signal handler unless the program asks for it.
#[test]
fn a_server_installs_no_handler_unasked() {
    let caught = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap()
    };
    let before = caught();
    let pool = pool(1, 4);
    let mut server = Stoppable::start(Flavour::CurrentThread, move |listener| {
        gateway::serve(listener, gated(&pool, gate().1)).pool(&pool)
    });
    assert_eq!(server.get("/").reply().text(), "hello");
    assert!(server.report().is_clean());
    assert_eq!(caught(), before);
    for signal in [2, 15] {
        assert_eq!(before >> (signal - 1) & 1, 0, "signal {signal} has a handler");
    }
}
