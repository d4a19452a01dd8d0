//! Applications that fail.

use gateway_tests::Ending;

use crate::target::{everywhere, everywhere_with};

/// ERR-01, ERR-02, ERR-06, ERR-07, ERR-09, HTTP-10: a failure before the first byte is a plain 500, and the connection
/// stays open.
#[test]
fn a_failure_before_the_first_byte_is_a_plain_500() {
    everywhere(|target| {
        let mut connection = target.connect();
        for path in ["/raise", "/raise-started", "/raise?how=panic", "/raise-started?how=panic", "/never", "/twice"] {
            let reply = connection.request(&(target.head("GET", path) + "\r\n"));
            assert_eq!((reply.status(), reply.text().as_str()), (500, "Internal Server Error\n"), "{path}");
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!((reply.header("content-length"), reply.header("x-old")), (Some("22"), None));
            assert!(reply.header("date").is_some());
        }
        assert_eq!(target.head_then_ok("/raise").status(), 500);
    });
}

/// ERR-04, ERR-05, END-02, ERR-09: a failure after the first byte aborts the response: it has no last chunk, or fewer
/// bytes than declared.
#[test]
fn a_failure_after_the_first_byte_breaks_the_message_off() {
    everywhere(|target| {
        let before = target.count("closed");
        for how in ["", "&how=panic"] {
            for framing in ["cl=0", "cl=1"] {
                let mut connection = target.connect();
                let reply =
                    connection.request(&format!("{}\r\n", target.head("GET", &format!("/raise-mid?{framing}{how}"))));
                assert_eq!((reply.status(), reply.text().as_str()), (200, "AAAA"), "{framing}{how}");
                assert_eq!(reply.ending, Ending::Broken, "{framing}{how}");
                assert!(connection.is_closed());
            }
        }
        assert_eq!((target.count("closed") - before, target.count("opened")), (4, target.count("closed")));
    });
}

/// END-01, END-04, END-07, ERR-09: the chunks are closed exactly once after any failure, and a failing close is not
/// reported as a success.
#[test]
fn close_runs_once_whatever_fails() {
    everywhere(|target| {
        let rows = [
            ("", "AB", Ending::Chunked),
            ("next", "A", Ending::Broken),
            ("close", "AB", Ending::Broken),
            ("drop-panic", "AB", Ending::Broken),
            ("next-and-drop", "A", Ending::Broken),
        ];
        for (fail, body, ending) in rows {
            let before = target.count("closed");
            let reply = target.get(&format!("/close?fail={fail}"));
            assert_eq!((reply.text().as_str(), reply.ending), (body, ending), "{fail}");
            assert_eq!(target.count("closed"), before + 1, "{fail}");
        }
        assert_eq!(target.get("/ok").text(), "ok");
    });
}

/// LOG-09: text that the application writes to the error stream does not reach the client.
#[test]
fn the_error_stream_never_reaches_the_client() {
    everywhere(|target| {
        let reply = target.get("/errors");
        assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"));
        assert!(!format!("{reply:?}").contains("wsgibin-errors-line"));
    });
}

/// ERR-09, POOL-10, POOL-19: one thread survives every kind of failure, and never runs two requests at once.
#[test]
fn one_thread_survives_every_failure() {
    everywhere_with(&["--threads", "1"], |target| {
        for _ in 0..5 {
            for path in ["/raise?how=panic", "/raise-mid?how=panic", "/close?fail=next-and-drop", "/never", "/cl-under"]
            {
                target.get(path);
            }
        }
        let replies: Vec<_> = (0..4)
            .map(|_| target.connect())
            .map(|mut connection| {
                connection.send(&(target.head("GET", "/sleep?ms=1") + "\r\n"));
                connection
            })
            .collect();
        for mut connection in replies {
            assert_eq!(connection.reply().text(), "ok");
        }
        assert_eq!(target.count("running_max"), 1);
        assert_eq!(target.environ("/env", "")["wsgi.multithread"], serde_json::json!(false));
    });
}

/// POOL-07, POOL-08, POOL-20: a request that finds the queue full, or waits in the queue for too long, is a 503; async
/// routes are not affected.
#[test]
fn a_queue_is_bounded_in_length_and_in_time() {
    let flags = ["--threads", "1", "--queue", "2", "--queue-timeout-ms", "200", "--read-ahead", "0"];
    everywhere_with(&flags, |target| {
        let _busy = target.occupy();
        let mut others: Vec<_> = (0..6).map(|_| target.connect()).collect();
        for connection in &mut others {
            connection.send(&(target.head("GET", "/ok") + "\r\n"));
        }
        if target.prefix.is_empty() {
            assert_eq!(target.get("/fast").text(), "ok");
        }
        for connection in &mut others {
            let reply = connection.reply();
            assert_eq!((reply.status(), reply.text().as_str()), (503, "Service Unavailable\n"));
        }
        assert_eq!(target.count("ok"), 0);
    });
}
