//! `wsgiref.validate`, the server check of the standard library, around applications. It raises `AssertionError` for
//! violations of PEP 3333, and prints to `sys.stderr` where it cannot raise.

use gateway::python::{self, Callable};
use gateway::testing::{Client, Outcome};
use gateway::{Gateway, Pool};
use gateway_tests::{Ending, Reply, Server, capture_log, until};

use crate::browser::{Browser, Framing};
use crate::environment::{app, serve, start};
use crate::file::File;

fn plain() -> Callable {
    app("plain", "plain.create_app()")
}

fn validated_shop() -> Callable {
    app("shop", "shop.validated()")
}

/// All text that was written to `sys.stderr` in this process.
fn complaints() -> String {
    Client::new(app("plain", "plain.complaints")).get("/").text()
}

/// A mount that streams, and a mount with a spool.
fn servers(app: fn() -> Callable) -> [Server; 2] {
    let pool: Pool = python::pool().threads(2).build().unwrap();
    [serve(app()), start(Gateway::new(app()).pool(&pool))]
}

fn assert_whole(reply: &Reply, text: &str) {
    assert_eq!((reply.status(), reply.text().as_str()), (200, text));
    assert_ne!(reply.ending, Ending::Broken);
}

/// PY-03, ENV-02 to ENV-05, ENV-10, ENV-12, ENV-13.
#[test]
fn a_plain_application_passes_the_validator() {
    for server in servers(plain) {
        let mut browser = Browser::new(&server);
        for (target, text) in [
            ("/", "|/|"),
            ("/a/b?c=d", "|/a/b|c=d"),
            ("/app", "/app||"),
            ("/app/", "/app|/|"),
            ("/app/a?b", "/app|/a|b"),
            ("/stream", "one two three"),
            ("/generator", "one two"),
            ("/write", "written, returned"),
            ("/errors", "|/errors|"),
            ("/echo", ""),
        ] {
            assert_whole(&browser.get(target), text);
            let head = browser.head(target);
            assert_eq!((head.status(), head.ending), (200, Ending::NoBody), "{target}");
        }
        assert_whole(&browser.post("/echo", &[("a", "b c")]), "a=b%20c");
        assert_whole(&browser.send_chunked("/echo", &[], b"in small chunks", 3), "in small chunks");
        let lines = r"[b'one\n', b'tw', b'o\n', b't', b'hree\n', b'four']";
        assert_whole(&browser.send("POST", "/lines", &[], b"one\ntwo\nthree\nfour"), lines);
        assert_whole(&browser.send_chunked("/lines", &[], b"one\ntwo\nthree\nfour", 5), lines);
        assert_eq!(browser.get("/none").status(), 204);
        assert_eq!(browser.head("/none").status(), 204);
        let replaced = browser.get("/replaced");
        assert_eq!((replaced.status(), replaced.text().as_str()), (503, "replaced"));
        // Once for GET and once for HEAD. The reply to HEAD arrives before the close.
        until("both are closed", || browser.get("/closed").text() == "2");
        assert_eq!(browser.get("/error").status(), 500);
        assert_eq!(browser.get("/late").ending, Ending::Broken);
    }
    assert_eq!(complaints(), "");
}

/// PY-03: only the application's own failures occur, and the close raises no complaint.
#[test]
fn the_log_of_a_validated_application_has_no_assertions() {
    let client = Client::new(plain());
    for (method, target, body) in [
        ("GET", "/", ""),
        ("HEAD", "/", ""),
        ("POST", "/echo", "a=b"),
        ("PUT", "/lines", "a\nb\nc\n"),
        ("GET", "/none", ""),
        ("GET", "/stream", ""),
        ("GET", "/generator", ""),
        ("GET", "/write", ""),
        ("GET", "/replaced", ""),
    ] {
        let (response, log) = capture_log(|| client.request(method, target).body(body).send());
        assert_eq!(response.outcome(), Outcome::Complete, "{method} {target}");
        assert!(log.is_empty(), "{method} {target}: {log:?}");
    }
    for target in ["/error", "/late"] {
        let (_, log) = capture_log(|| client.get(target));
        assert!(log.iter().any(|event| event.text.contains("RuntimeError: a plain failure")), "{log:?}");
        assert!(!log.iter().any(|event| event.text.contains("AssertionError")), "{log:?}");
    }
    let (response, log) = capture_log(|| client.request("GET", "/stream").disconnect_after(4).send());
    assert_eq!(response.outcome(), Outcome::Disconnected);
    assert!(!log.iter().any(|event| event.text.contains("AssertionError")), "{log:?}");
    assert_eq!(complaints(), "");
}

/// PY-03, PY-15.
#[test]
fn a_flask_application_passes_the_validator() {
    let file = File { size: 300_000 };
    for server in servers(validated_shop) {
        let mut browser = Browser::new(&server);
        for target in ["/", "/items/0/", "/app/items/1/", "/source", "/slow", "/me"] {
            let reply = browser.get(target);
            assert_eq!(reply.status(), 200, "{target}");
            let head = browser.head(target);
            assert_eq!(head.header("content-length"), reply.header("content-length"), "{target}");
        }
        assert_eq!(browser.get("/nowhere").status(), 404);
        assert_eq!(browser.get("/none").status(), 204);
        assert_eq!(browser.get("/items/0").status(), 308);
        assert_eq!(browser.send("GET", "/source", &[("Range", "bytes=3-9")], b"").status(), 206);
        assert_whole(
            &browser.post("/form", &[("a", "b")]),
            "{\"form\":{\"a\":[\"b\"]},\"type\":\"application/x-www-form-urlencoded\"}\n",
        );
        for framing in [Framing::Length, Framing::Chunked] {
            let text = format!("T numbers.bin application/x-numbers {} {}", file.size, file.digest());
            assert_whole(&browser.upload("/upload", "T", file, framing), &text);
        }
        assert_eq!(browser.get("/go-on").status(), 200);
        assert_whole(&browser.get("/stream?title=T"), "title: T\ndone\n");
        assert_eq!(browser.get("/crash").status(), 500);
        assert_eq!(browser.get("/crash-late").ending, Ending::Broken);
    }
    let client = Client::new(validated_shop());
    for target in ["/", "/source", "/nowhere", "/none", "/crash", "/crash-late"] {
        let (_, log) = capture_log(|| client.get(target));
        assert!(!log.iter().any(|event| event.text.contains("AssertionError")), "{target}: {log:?}");
    }
    assert_eq!(complaints(), "");
}
