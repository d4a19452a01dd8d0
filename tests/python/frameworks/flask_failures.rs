//! Flask: error pages.

use gateway::python;
use gateway::testing::{Client, Outcome};
use gateway_tests::{Logged, Server, capture_log};

use crate::browser::Browser;
use crate::environment::{app, serve, shop};
use crate::support::sent;

const SECRET: &str = "a secret of the shop";

/// Checks that the log contains the traceback once, down to the view.
fn assert_traceback(log: &[Logged], view: &str) {
    let tracebacks: Vec<_> = log.iter().filter(|event| event.text.contains("Traceback")).collect();
    assert_eq!(tracebacks.len(), 1, "{log:?}");
    let text = &tracebacks[0].text;
    assert!(text.contains(&format!("RuntimeError: {SECRET}")) && text.contains(&format!("in {view}")), "{text}");
}

/// PY-15: the client sees Flask's own error pages.
#[test]
fn what_is_wrong_with_a_request_is_a_page_of_flask() {
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    for (status, reply) in [
        (404, browser.get("/nowhere")),
        (404, browser.get("/items/9/")),
        (405, browser.send("DELETE", "/form", &[], b"")),
        (400, browser.send("POST", "/json", &[("Content-Type", "application/json")], b"{")),
        (415, browser.send("POST", "/json", &[], b"{}")),
        (500, browser.get("/crash")),
    ] {
        assert_eq!(reply.status(), status);
        assert!(reply.text().contains(&format!("<title>{status} ")), "{}", reply.text());
        assert!(!reply.text().contains(SECRET));
    }
}

/// PY-15, LOG-01: Flask writes to `wsgi.errors`, which is the log.
#[test]
fn an_exception_of_a_view_is_in_the_log_and_not_in_the_body() {
    let (response, log) = capture_log(|| Client::new(shop()).get("/crash"));
    assert_eq!((response.status().as_u16(), response.text().contains(SECRET)), (500, false));
    assert_eq!(log[0].target, "gateway::wsgi_errors");
    assert_traceback(&log, "crash");
}

/// PY-15: an exception that Flask does not catch is handled like any other exception.
#[test]
fn an_exception_that_leaves_flask_is_in_the_log_and_not_in_the_body() {
    let (response, log) = capture_log(|| Client::new(app("shop", "shop.propagating()")).get("/crash"));
    assert_eq!((response.status().as_u16(), response.text().contains(SECRET)), (500, false));
    assert_traceback(&log, "crash");
}

/// PY-15: a stream that fails does not look complete.
#[test]
fn an_exception_within_a_stream_breaks_the_message_off() {
    let (response, log) = capture_log(|| Client::new(shop()).get("/crash-late"));
    assert_eq!((response.outcome(), sent(&response).as_str()), (Outcome::Aborted, "begun"));
    assert_traceback(&log, "rows");
}

/// PY-15, SEC-08: a body over the mount's limit is refused before Flask is called; a body over Flask's own limit is
/// refused by Flask.
#[test]
fn a_body_over_a_limit_is_413() {
    let pool = python::pool().threads(1).build().unwrap();
    let mount = python::mount(app("shop", "shop.create_app(MAX_CONTENT_LENGTH=100)"), &pool).unwrap();
    let server = Server::of(mount.body_limit(1_000));
    for (size, flask) in [(500, true), (2_000, false)] {
        for chunk in [None, Some(100)] {
            let mut browser = Browser::new(&server);
            let body = vec![b'x'; size];
            let reply = match chunk {
                None => browser.send("POST", "/raw", &[], &body),
                Some(chunk) => browser.send_chunked("/raw", &[], &body, chunk),
            };
            assert_eq!((reply.status(), reply.text().contains("<title>413 ")), (413, flask), "{size} {chunk:?}");
        }
    }
    let text = Browser::new(&server).get("/state").text();
    assert!(text.contains("\"torn down\":2,") || text.contains("\"torn down\":2}"), "{text}");
}
