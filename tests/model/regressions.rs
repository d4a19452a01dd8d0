//! Sequences that have failed before, and variants of them.

use crate::applications::Route;
use crate::frames::{Frame, PREFACE};
use crate::generated::{verdict, watch_panics};
use crate::sequence::{DEFAULTS, FILL, Sequence, Settings, Step, fill, pause, send};
use crate::threads;

/// Panics unless the run keeps all rules.
fn holds(settings: Settings, steps: &[Step]) {
    watch_panics();
    let sequence = Sequence { settings, steps: steps.to_vec() };
    if let Err(broken) = verdict(&sequence) {
        panic!("{broken}\n\n{sequence:?}\n");
    }
}

/// Pauses shorter and longer than the time after which an idle connection releases its buffers.
const PAUSES: [u64; 4] = [1, 900, 1100, 2100];

/// Each head declares a body, and a part of the body arrives after a pause.
fn body_after_a_pause(head: &str) {
    for first in PAUSES {
        for second in PAUSES {
            let steps = [send(0, head), pause(first), fill(0, 1), pause(second), fill(0, 1)];
            holds(DEFAULTS, &steps);
            holds(Settings { body_limit: 100, ..DEFAULTS }, &steps);
            holds(Settings { read_ahead: 0, ..DEFAULTS }, &steps);
            holds(Settings { threads: threads::ARE_THERE, ..DEFAULTS }, &steps);
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

/// The same while the client does not read, and after one request that was answered.
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

/// A refused head that arrives together with the previous request.
#[test]
fn a_refusal_is_not_lost_by_what_its_client_still_sends() {
    let refused = [
        "POST /read/1 HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /read/1 HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        "POST /read/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST  /read/1 HTTP/1.1\r\n\r\n",
    ];
    for head in refused {
        let before = "GET /ignore/0 HTTP/1.1\r\nHost: a\r\n\r\n";
        holds(DEFAULTS, &[send(0, head), pause(1), fill(0, 1)]);
        holds(DEFAULTS, &[send(0, format!("{before}{head}")), pause(1), fill(0, 1)]);
        holds(DEFAULTS, &[send(0, before), pause(1100), send(0, head), pause(1), fill(0, 1)]);
    }
}

/// The start of an HTTP/2 connection with this initial window of each stream.
fn http2(window: u32) -> Vec<Step> {
    vec![
        Step::Send2(0, Frame::Preface(0, PREFACE.len())),
        Step::Send2(0, Frame::Settings(window)),
        Step::Send2(0, Frame::SettingsAck),
    ]
}

#[test]
fn a_preface_in_parts_has_the_time_of_one_request() {
    for (cut, time) in [(0, 1), (22, 1100), (22, 29_000), (24, 1100)] {
        let (first, rest) = (Frame::Preface(0, cut), Frame::Preface(cut, PREFACE.len()));
        holds(DEFAULTS, &[Step::Send2(0, first), pause(time), Step::Send2(0, rest)]);
    }
}

#[test]
fn what_belongs_to_no_request_keeps_no_connection() {
    let other = [Frame::Ping, Frame::Settings(65_535), Frame::Unknown(0), Frame::Window(0, 1)];
    let requests = [vec![], vec![Step::Send2(0, Frame::Headers(1, "GET", Route::Ignore, true)), pause(1)]];
    for frame in other {
        for request in &requests {
            let mut steps = [http2(65_535), request.clone()].concat();
            for _ in 0..200 {
                steps.extend([Step::Send2(0, frame.clone()), pause(500)]);
            }
            holds(DEFAULTS, &steps);
        }
    }
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    for route in Route::ALL {
        let get = send(0, format!("GET {}/0 HTTP/1.1\r\nHost: a\r\n\r\n", route.path()));
        let settings = Settings { window: 0, response_buffer: 4096, ..DEFAULTS };
        holds(settings, &[Step::Stall(0), get.clone()]);
        holds(Settings { threads: threads::ARE_THERE, ..settings }, &[Step::Stall(0), get]);
        let request = Step::Send2(0, Frame::Headers(1, "GET", route, true));
        holds(settings, &[http2(0), vec![request]].concat());
    }
}

/// A partial head, preface or body delays the shutdown of the server by at most its own timeout, or the grace period.
#[test]
fn a_stop_forgets_no_time() {
    let starts = [
        vec![send(0, "GET /ign")],
        vec![send(0, "GET /ignore/0 HTTP/1.1\r\nHost: a\r\n\r\nGET /ig")],
        vec![send(0, "POST /read/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")],
        vec![Step::Send2(0, Frame::Preface(0, 12))],
        vec![Step::Send2(0, Frame::Preface(0, 24))],
        http2(65_535),
        [http2(65_535), vec![Step::Send2(0, Frame::Headers(1, "POST", Route::AsyncSlow, true))]].concat(),
        [http2(65_535), vec![Step::Send2(0, Frame::Headers(1, "POST", Route::AsyncRead, false))]].concat(),
    ];
    for start in starts {
        for (header_timeout, grace) in [(30_000, 30_000), (1000, 30_000), (30_000, 1000), (30_000, 100_000)] {
            let settings = Settings { header_timeout, grace, keep_alive: 5000, ..DEFAULTS };
            // Before the timeout expires, and in the second after.
            for before in [1, 900, 1101, 5101] {
                holds(settings, &[start.clone(), vec![pause(before), Step::Stop]].concat());
            }
        }
    }
}

#[test]
fn what_has_begun_is_answered_while_a_server_stops() {
    for route in Route::ALL {
        let head = format!("GET {}/0 HTTP/1.1\r\nHost: a\r\n\r\n", route.path());
        let (first, rest) = head.split_at(7);
        holds(DEFAULTS, &[send(0, first), pause(1), Step::Stop, pause(2000), send(0, rest)]);
        for time in PAUSES {
            let before = [send(0, "GET /ignore/1 HTTP/1.1\r\nHost: a\r\n\r\n"), pause(time)];
            let begun = [send(0, first), pause(1), Step::Stop, pause(2000), send(0, rest)];
            holds(DEFAULTS, &[&before[..], &begun[..]].concat());
        }
        holds(DEFAULTS, &[send(0, &head), pause(1), Step::Stop]);
        let request = Step::Send2(0, Frame::Headers(1, "GET", route, true));
        holds(DEFAULTS, &[http2(65_535), vec![request, pause(3), Step::Stop]].concat());
    }
}

#[test]
fn a_client_that_has_ended_its_side_is_answered_if_it_may() {
    for route in Route::ALL {
        let length = FILL.len();
        let head = format!("POST {}/0 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n", route.path());
        for time in PAUSES {
            let steps = [send(0, &head), pause(time), fill(0, 1), Step::End(0)];
            holds(Settings { half_close: true, ..DEFAULTS }, &steps);
            holds(DEFAULTS, &steps);
        }
    }
}

/// The header timeout does not depend on the spacing of the bytes.
#[test]
fn a_slow_head_has_the_time_of_one() {
    for rest in [1000, 9000, 29_000] {
        // The head starts with the first letter of the HTTP/2 preface.
        let head = "POST /ignore/0 HTTP/1.1\r\nHost: a\r\nX-Long: yes\r\n\r\n";
        let steps = head.bytes().flat_map(|byte| [send(0, [byte]), pause(rest)]);
        let before = [send(0, "GET /ignore/1 HTTP/1.1\r\nHost: a\r\n\r\n"), pause(5000)];
        holds(DEFAULTS, &steps.clone().collect::<Vec<_>>());
        holds(DEFAULTS, &before.into_iter().chain(steps).collect::<Vec<_>>());
    }
}

/// The application reads a part of the body, and hyper discards the rest.
#[test]
fn a_body_that_came_whole_is_followed_by_the_keep_alive_time() {
    let chunk = "5\r\nhello\r\n";
    let request =
        format!("POST /some/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    for half_close in [true, false] {
        for keep_alive in [1000, 2000, 75_000] {
            let settings = Settings { keep_alive, half_close, read_ahead: 0, ..DEFAULTS };
            holds(settings, &[send(0, &request)]);
            holds(Settings { threads: threads::ARE_THERE, ..settings }, &[send(0, &request)]);
            // Empty lines are not a request.
            let lines = [pause(900), send(0, "\r\n")].into_iter().cycle().take(20);
            let steps: Vec<Step> = std::iter::once(send(0, &request)).chain(lines).collect();
            holds(settings, &steps);
            holds(Settings { threads: threads::ARE_THERE, ..settings }, &steps);
        }
    }
}

/// The timeout starts when the connection is opened, not when the protocol is detected.
#[test]
fn a_first_head_in_parts_has_the_time_of_one() {
    for (header_timeout, time) in [(1000, 100), (1000, 900), (3000, 2900), (30_000, 29_000)] {
        for rest in ["OST /ignore/0 HTT", "OST /ignore/0 HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let settings = Settings { header_timeout, ..DEFAULTS };
            holds(settings, &[send(0, "P"), pause(time), send(0, rest)]);
        }
    }
}

#[test]
fn a_head_that_came_with_the_request_before_has_the_time_of_one() {
    let before = [
        "GET /ignore/0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a-slow/0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /read/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /read/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ];
    for before in before {
        for (header_timeout, keep_alive) in [(1000, 75_000), (30_000, 75_000), (30_000, 1000)] {
            let settings = Settings { header_timeout, keep_alive, ..DEFAULTS };
            holds(settings, &[send(0, format!("{before}P"))]);
            holds(settings, &[send(0, format!("{before}POST /ignore/1 HT")), pause(900), send(0, "TP/1.1\r\n")]);
        }
    }
}

#[test]
fn trailers_behind_any_request_leave_a_connection_for_the_next() {
    let before = [
        "GET /ignore/0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a-echo/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /ignore/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /a-echo/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n",
    ];
    let head = "POST /a-echo/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n";
    let next = "GET /ignore/2 HTTP/1.1\r\nHost: a\r\n\r\n";
    for before in before {
        for time in PAUSES {
            holds(DEFAULTS, &[send(0, format!("{before}{head}{body}")), pause(time), send(0, next)]);
            holds(DEFAULTS, &[send(0, format!("{before}{head}")), pause(time), send(0, format!("{body}{next}"))]);
            holds(DEFAULTS, &[send(0, before), pause(1), send(0, format!("{head}{body}")), pause(time)]);
        }
    }
}

/// The application never reads the body, or its handler keeps the body.
#[test]
fn a_body_that_is_kept_keeps_no_connection() {
    let head = "POST /a-keep/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    for time in PAUSES {
        holds(DEFAULTS, &[send(0, head), pause(time), fill(0, 1)]);
        holds(DEFAULTS, &[send(0, head), fill(0, 10_000), pause(time)]);
    }
    // The header timeout applies to the next head, although the previous body is not read to its end.
    let kept = "POST /a-keep/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let rest = [send(0, "HTTP/1.1\r\n"), pause(29_856), send(0, "Host: a\r\n\r\n")];
    for time in [2100, 29_000] {
        let at_once = [send(0, format!("{kept}GET /a-ignore/1 ")), pause(time)];
        holds(DEFAULTS, &[&at_once[..], &rest].concat());
        let later = [send(0, kept), pause(time), send(0, "GET /a-ignore/1 "), pause(2100)];
        holds(DEFAULTS, &[&later[..], &rest].concat());
    }
}

#[test]
fn half_a_response_on_http10_is_no_whole_one() {
    for route in Route::ALL {
        for fields in ["", "Connection: keep-alive\r\n"] {
            let get = send(0, format!("GET {}/0 HTTP/1.0\r\n{fields}\r\n", route.path()));
            holds(DEFAULTS, std::slice::from_ref(&get));
            holds(Settings { threads: threads::ARE_THERE, ..DEFAULTS }, &[get]);
        }
    }
}

/// The connection ends within the body: the client ends it, or the server shuts down.
#[test]
fn a_body_that_breaks_off_is_not_taken_for_whole() {
    for route in [Route::Read, Route::Echo, Route::EchoStream, Route::AsyncRead, Route::AsyncEcho] {
        for framing in ["Transfer-Encoding: chunked\r\n\r\n25\r\n", "Content-Length: 100\r\n\r\n"] {
            let head = send(0, format!("POST {}/0 HTTP/1.1\r\nHost: a\r\n{framing}", route.path()));
            for end in [Step::Stop, Step::End(0), Step::Reset(0)] {
                for (half_close, read_ahead) in [(false, 64 << 10), (true, 0)] {
                    let settings = Settings { half_close, read_ahead, grace: 1000, ..DEFAULTS };
                    let steps = [head.clone(), fill(0, 1), send(0, "\r\n"), pause(100), end.clone()];
                    holds(settings, &steps);
                    holds(Settings { threads: threads::ARE_THERE, ..settings }, &steps);
                }
            }
        }
    }
}
