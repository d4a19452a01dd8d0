//! Sequences that have failed, and their siblings.

use crate::applications::Route;
use crate::generated::{verdict, watch_panics};
use crate::sequence::{DEFAULTS, FILL, Sequence, Settings, Step, fill, pause, send};

/// Panics unless the run keeps all rules.
fn holds(settings: Settings, steps: &[Step]) {
    watch_panics();
    let sequence = Sequence { settings, steps: steps.to_vec() };
    if let Err(broken) = verdict(&sequence) {
        panic!("{broken}\n\n{sequence:?}\n");
    }
}

/// The pauses after which an idle connection has given its buffers back, or not yet.
const PAUSES: [u64; 4] = [1, 900, 1100, 2100];

/// Each head announces a body, of which a part comes after a pause.
fn body_after_a_pause(head: &str) {
    for first in PAUSES {
        for second in PAUSES {
            let steps = [send(0, head), pause(first), fill(0, 1), pause(second), fill(0, 1)];
            holds(DEFAULTS, &steps);
            holds(Settings { body_limit: 100, ..DEFAULTS }, &steps);
        }
    }
}

#[test]
fn a_body_that_was_refused_is_no_request() {
    body_after_a_pause("POST /ignore/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n");
}

#[test]
fn a_body_behind_two_hosts_is_no_request() {
    body_after_a_pause("POST /ignore/0 HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 200\r\n\r\n");
}

#[test]
fn a_body_in_an_unknown_coding_is_no_request() {
    body_after_a_pause("POST /ignore/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\nc8\r\n");
}

#[test]
fn a_body_that_is_not_read_is_no_request() {
    for route in Route::ALL {
        let path = route.path();
        body_after_a_pause(&format!("POST {path}/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n"));
        body_after_a_pause(&format!("POST {path}/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n"));
        body_after_a_pause(&format!(
            "POST {path}/0 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 200\r\n\r\n"
        ));
        body_after_a_pause(&format!(
            "POST {path}/0 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 200\r\n\r\n"
        ));
    }
}

/// The same while the client reads nothing, and after one request that was answered.
#[test]
fn a_body_that_is_not_read_is_no_request_for_a_client_that_takes_nothing() {
    let head = "POST /stream/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n";
    for time in PAUSES {
        holds(
            DEFAULTS,
            &[Step::Stall(0), send(0, head), pause(time), fill(0, 1), pause(time), Step::Read(0), fill(0, 1)],
        );
    }
}

#[test]
fn a_body_that_is_read_leaves_a_connection_for_the_next() {
    for time in PAUSES {
        let length = FILL.len();
        let head = format!("POST /read/0 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let next = "GET /ignore/1 HTTP/1.1\r\nHost: a\r\n\r\n";
        holds(DEFAULTS, &[send(0, head), pause(time), fill(0, 1), pause(time), send(0, next), pause(time)]);
    }
}
