//! Status and headers of responses.

use gateway_tests::{Ending, Reply};

use crate::target::{Target, everywhere};

/// Percent-encodes all bytes, for a value in a query string.
fn escaped(text: &str) -> String {
    text.chars().map(|character| format!("%{:02X}", u32::from(character))).collect()
}

fn names(reply: &Reply) -> Vec<&str> {
    reply.headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// SR-05, IT-02, IT-03: the application may call `start_response` late, as long as the call precedes the first byte.
#[test]
fn start_response_may_come_inside_the_iteration() {
    everywhere(|target| {
        let reply = target.get("/late");
        assert_eq!((reply.line.as_str(), reply.text().as_str()), ("HTTP/1.1 201 Created", "late"));
        let reply = target.get("/empty-first");
        assert_eq!((reply.line.as_str(), reply.text().as_str()), ("HTTP/1.1 202 Accepted", "body!"));
    });
}

/// SR-06, SR-07, SR-08, SR-09: if the application sends no head, or two, the response is a 500.
#[test]
fn a_response_is_started_exactly_once() {
    everywhere(|target| {
        for path in ["/never", "/twice"] {
            let reply = target.get(path);
            assert_eq!((reply.status(), reply.text().as_str()), (500, "Internal Server Error\n"), "{path}");
        }
    });
}

/// SR-10, SR-12: a replacement head contains nothing of the head that it replaces.
#[test]
fn a_replaced_head_leaves_nothing_behind() {
    everywhere(|target| {
        let reply = target.get("/replace");
        assert_eq!((reply.status(), reply.header("x-old"), reply.text().as_str()), (503, None, "replaced"));
        assert_eq!(reply.header("content-length"), Some("8"));
    });
}

/// SR-11: after the head was sent, `start_response` returns the error, and the response is aborted.
#[test]
fn a_replacement_that_comes_too_late_breaks_the_message_off() {
    everywhere(|target| {
        let reply = target.get("/replace-late");
        assert_eq!((reply.status(), reply.ending, reply.text().as_str()), (200, Ending::Broken, "AAAA"));
    });
}

/// SR-15, SR-16, SR-17, SR-22: the application's status is sent unchanged, or the response is a 500.
#[test]
fn the_status_line_is_the_applications_own() {
    everywhere(|target| {
        let rows = [
            ("200 OK", "200 OK"),
            ("299 Strange Message", "299 Strange Message"),
            ("404 Nicht gef\u{fc}r", "404 Nicht gef\u{fc}r"),
            ("599 X", "599 X"),
            ("200 ", "200 "),
            ("299 ", "299 "),
            ("404 ", "404 "),
            ("200 \u{80}\u{ff}", "200 \u{80}\u{ff}"),
        ];
        for (status, line) in rows {
            let reply = target.get(&format!("/status?s={}", escaped(status)));
            assert_eq!(reply.line, format!("HTTP/1.1 {line}"));
        }
        for bad in
            ["", "200", "20X OK", "200OK", "200  OK", " 200 OK", "200 OK ", "100 Continue", "101 No", "099 X", "1000 X"]
        {
            assert_eq!(target.get(&format!("/status?s={}", escaped(bad))).status(), 500, "{bad:?}");
        }
        for control in ["\r\n", "\0", "\n", "\x7f"] {
            let status = format!("200 a{control}X-Evil: 1");
            let reply = target.get(&format!("/status?s={}", escaped(&status)));
            assert_eq!((reply.status(), reply.header("x-evil")), (500, None), "{control:?}");
        }
    });
}

/// SR-20, SR-21, SR-22, SR-26, SR-31, SEC-06: header fields are sent unchanged, or not at all.
#[test]
fn header_fields_arrive_as_given_or_not_at_all() {
    everywhere(|target| {
        let header =
            |name: &str, value: &str| target.get(&format!("/header?name={}&v={}", escaped(name), escaped(value)));
        assert_eq!(header("X-A", "caf\u{e9}\t\u{80}").header("x-a"), Some("caf\u{e9}\t\u{80}"));
        assert_eq!(header("x!#$%&'*+-.^_`|~", "1").header("x!#$%&'*+-.^_`|~"), Some("1"));
        assert_eq!(header("X-Empty", "").header("x-empty"), Some(""));
        for name in ["", "X A", "X:A", "X\r\nA", "X\0", "X\u{e9}", "X(", "Status"] {
            assert_eq!(header(name, "1").status(), 500, "{name:?}");
        }
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\0", "a\x7f", "a\x1b"] {
            let reply = header("X-A", value);
            assert_eq!((reply.status(), reply.header("x-evil")), (500, None), "{value:?}");
        }
    });
}

/// SR-24: an application must not send hop-by-hop header fields.
#[test]
fn hop_by_hop_headers_are_refused() {
    everywhere(|target| {
        for name in [
            "Connection",
            "keep-alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "trailers",
            "Transfer-Encoding",
            "UPGRADE",
        ] {
            assert_eq!(target.get(&format!("/header?name={name}&v=x")).status(), 500, "{name}");
        }
    });
}

/// SR-25, SR-27, SR-29, SR-30: repeated fields stay separate and in order; a field that the gateway adds appears once.
#[test]
fn fields_are_neither_merged_nor_doubled() {
    everywhere(|target| {
        let reply = target.get("/cookies");
        let cookies: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        assert_eq!(cookies.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a=1", "b=2"]);
        let reply = target.get("/s304");
        assert_eq!(names(&reply), ["etag", "date"]);
        for (name, value) in [("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "own")] {
            let reply = target.get(&format!("/header?name={name}&v={}", escaped(value)));
            // `header` fails if the field appears twice.
            assert_eq!(reply.header(name), Some(value));
        }
        assert_eq!(target.get("/ok").header("server"), None);
    });
}

/// HTTP-19, HTTP-21: the application is responsible for caching, ranges and codings: the client's header fields for
/// them change nothing in the gateway, and the gateway sends no early hints.
#[test]
fn the_gateway_adds_no_http_of_its_own() {
    everywhere(|target| {
        let mut connection = target.connect();
        let reply = connection.request(&format!(
            "{}Range: bytes=0-0\r\nIf-None-Match: *\r\nIf-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT\r\nAccept-Encoding: gzip\r\n\r\n",
            target.head("GET", "/ok")
        ));
        assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"));
        assert_eq!(
            (reply.header("content-encoding"), reply.header("accept-ranges"), reply.header("etag")),
            (None, None, None)
        );
        assert!(target.environ("/env", "").get("wsgi.early_hints").is_none());
    });
}

/// SR-28: a Content-Length consists of digits.
#[test]
fn a_content_length_is_digits() {
    everywhere(|target: &Target<'_>| {
        assert_eq!(target.get("/cl-bad?v=5").text(), "hello");
        for bad in ["", "-5", "%2B5", "5a", "0x5", "5,5", "5%205", "99999999999999999999999"] {
            assert_eq!(target.get(&format!("/cl-bad?v={bad}")).status(), 500, "{bad}");
        }
    });
}
