//! Content lengths: a mismatch between the declared length and the sent bytes is always detected.

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::routing::any;
use gateway::testing::{Client, Outcome};
use gateway::{Application, Chunks, Gateway, Pool, application_fn};
use gateway_tests::{Ending, Journal, Script, Server, Step, answer_fn, capture_log, http2, recv, within};
use http_body_util::{BodyExt as _, Empty};

fn body(
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    chunks: &'static [&'static str],
) -> impl Application {
    application_fn(move |_, start_response| {
        start_response(status, headers)?;
        Ok(Chunks::new(chunks.iter().copied()))
    })
}

const TWO: &[(&str, &str)] = &[("Content-Length", "2")];
const FIVE: &[(&str, &str)] = &[("Content-Length", "5")];
const TEN: &[(&str, &str)] = &[("Content-Length", "10")];

/// IT-01, IT-07, IT-10.
#[test]
fn a_body_in_one_piece_gets_its_length_and_any_other_is_chunked() {
    let reply = Server::of(body("200 OK", &[], &["hello"])).get("/");
    assert_eq!((reply.header("content-length"), reply.ending), (Some("5"), Ending::Length));
    assert_eq!(reply.header("transfer-encoding"), None);

    let reply = Server::of(body("200 OK", &[], &["hel", "lo"])).get("/");
    assert_eq!((reply.header("content-length"), reply.ending), (None, Ending::Chunked));
    assert_eq!(reply.text(), "hello");

    let reply = Server::of(body("200 OK", &[], &[])).get("/");
    assert_eq!((reply.header("content-length"), reply.ending), (Some("0"), Ending::Length));
}

/// IT-09: a wrong size hint has no effect.
#[test]
fn a_size_hint_is_not_believed() {
    struct Liar(u8);
    impl Iterator for Liar {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            self.0 = self.0.checked_sub(1)?;
            Some("ab")
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (0, Some(0))
        }
    }
    let app = answer_fn(|_| Ok(Liar(3)));
    let reply = Server::of(app).get("/");
    assert_eq!((reply.text().as_str(), reply.ending), ("ababab", Ending::Chunked));
}

/// HTTP-09, IT-10.
#[test]
fn http_1_0_gets_no_chunks() {
    let server = Server::of(body("200 OK", &[], &["hel", "lo"]));
    let reply = server.connect().request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(reply.header("transfer-encoding"), None);
    assert_eq!((reply.text().as_str(), reply.ending), ("hello", Ending::Closed));
}

/// HTTP-13, HTTP-14: a body that is known before the first byte is sent, and contradicts its head, is a clean 500.
#[test]
fn a_known_body_of_the_wrong_length_is_a_500() {
    for (headers, chunks) in [(FIVE, &["helloWORLD"][..]), (TEN, &["hello"]), (FIVE, &[])] {
        let (response, log) = capture_log(|| Client::new(body("200 OK", headers, chunks)).get("/"));
        assert_eq!(
            (response.status().as_u16(), response.outcome()),
            (500, Outcome::Complete),
            "{headers:?} {chunks:?}"
        );
        assert_eq!(log.len(), 1);
        assert!(log[0].text.contains("Content-Length"), "{log:?}");
    }
}

/// HTTP-11: fewer bytes than declared, in pieces: the connection is closed after the sent bytes.
#[test]
fn a_short_body_is_broken_off() {
    let reply = Server::of(body("200 OK", TEN, &["hel", "lo"])).get("/");
    assert_eq!((reply.text().as_str(), reply.ending), ("hello", Ending::Broken));
}

/// HTTP-12, IT-14: more bytes than declared, in pieces: exactly the declared number of bytes is sent, and the
/// connection stays usable.
#[test]
fn a_long_body_is_cut_at_its_declared_length() {
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |_, start_response| {
        start_response("200 OK", FIVE)?;
        let steps = [Step::Chunk("hel"), Step::Chunk("loWO"), Step::Chunk("RLD"), Step::Chunk("!")];
        Ok(Chunks::new(Script::new(&noted, &steps)))
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    for _ in 0..3 {
        let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!((reply.text().as_str(), reply.ending), ("hello", Ending::Length));
    }
    // Two calls of `next` reach the length, and there is no third call.
    let lines = journal.lines();
    assert_eq!(lines[..3], ["next", "next", "close"]);
}

/// HTTP-01, HTTP-02, END-09.
#[test]
fn head_is_answered_without_a_body_and_with_the_length_of_get() {
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], Option<&'static str>);
    let cases: [Case; 5] = [
        (&[], &["hello"], Some("5")),
        (FIVE, &["hello"], Some("5")),
        (FIVE, &[], Some("5")),
        (&[], &[], None),
        (&[], &["hel", "lo"], None),
    ];
    for (headers, chunks, length) in cases {
        let server = Server::of(body("200 OK", headers, chunks));
        let mut connection = server.connect();
        for _ in 0..2 {
            let reply = connection.request_head("/");
            assert_eq!(reply.header("content-length"), length, "{headers:?} {chunks:?}");
        }
        // A byte of the body would be parsed as a part of the next head.
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(connection.head().0.starts_with("HTTP/1.1 "));
    }
}

/// IT-14, HTTP-03: no chunk is pulled after the message is complete, even from an endless iterator.
#[test]
fn nothing_is_pulled_after_a_complete_message() {
    for (method, status) in [("HEAD", "200 OK"), ("GET", "204 No Content")] {
        let app = application_fn(move |_, start_response| {
            let write = start_response(status, &[])?;
            write.send("")?;
            Ok(Chunks::new(std::iter::repeat("")))
        });
        assert_eq!(Client::new(app).request(method, "/").send().chunks().len(), 0);
    }
}

/// HTTP-01, ERR-07: the gateway's own answers to HEAD have no body either.
#[test]
fn a_refusal_to_head_has_no_body() {
    let client =
        Client::of(Gateway::new(body("200 OK", &[], &["x"])).body_limit(1).executor(gateway::testing::Inline::new()));
    let response = client.request("HEAD", "/").body("too long").send();
    assert_eq!((response.status().as_u16(), response.chunks().len()), (413, 0));
    assert_eq!(client.request("GET", "/").body("too long").send().text(), "Payload Too Large: the limit is 1 bytes\n");
}

/// HTTP-04.
#[test]
fn statuses_without_a_body_have_none() {
    for (status, code, length) in [("204 No Content", 204, None), ("304 Not Modified", 304, Some("5"))] {
        let server = Server::of(body(status, FIVE, &["hello"]));
        let mut connection = server.connect();
        for _ in 0..2 {
            let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!((reply.status(), reply.header("content-length")), (code, length));
            assert_eq!(reply.header("transfer-encoding"), None);
        }
    }
}

/// HTTP-04: a 205 has no body (RFC 9110 §15.3.6), and a length of 0, as clients expect one.
#[tokio::test]
async fn a_reset_form_comes_without_a_body() {
    let pool = Pool::builder().threads(2).build().unwrap();
    let reset = |headers: &'static [(&str, &str)]| pool.mount(body("205 Reset Content", headers, &["hello", "again"]));
    let handler = pool.handler(|| (StatusCode::RESET_CONTENT, "hello"));
    let written = pool.mount(application_fn(|_, start_response| {
        start_response("205 Reset Content", &[])?.send("hello")?;
        Ok(Chunks::new(["again"]))
    }));
    let router = axum::Router::new()
        .route("/", any(reset(&[])))
        .route("/declared", any(reset(FIVE)))
        .route("/written", any(written))
        .route("/handler", any(handler));
    let server = Server::of(router);
    let mut connection = server.connect();
    for path in ["/", "/declared", "/written", "/handler"] {
        for method in ["GET", "HEAD"] {
            let reply = connection.request(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!((reply.status(), reply.header("content-length")), (205, Some("0")), "{method} {path}");
            assert_eq!(reply.header("transfer-encoding"), None);
        }
        let reply = server.connect().request(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert_eq!((reply.status(), reply.text().as_str()), (205, ""), "{path}");
    }
    let mut client = http2(server.address()).await;
    for path in ["/", "/declared", "/written", "/handler"] {
        let request = Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = within(client.send_request(request)).await.unwrap().into_parts();
        assert_eq!((head.status.as_u16(), head.headers["content-length"].as_bytes()), (205, &b"0"[..]), "{path}");
        assert_eq!(within(body.collect()).await.unwrap().to_bytes(), "", "{path}");
    }
}

/// HTTP-10, HTTP-15: pipelined responses stay in order and complete.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let app = answer_fn(|environ| Ok([environ.path_info().to_owned(), "\n".repeat(environ.path_info().len())]));
    let server = Server::of(app);
    let mut connection = server.connect();
    connection.send(&["/a", "/bb", "/ccc"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).concat());
    for path in ["/a\n\n", "/bb\n\n\n", "/ccc\n\n\n\n"] {
        assert_eq!(connection.reply().text(), path);
    }
}

/// WR-08, in one piece and in two.
#[test]
fn a_write_beyond_the_declared_length_is_an_error_to_the_application() {
    let (report, reported) = std::sync::mpsc::channel();
    let app = application_fn(move |_, start_response| {
        let write = start_response("200 OK", TWO)?;
        write.send("a")?;
        report.send(write.send("bc").is_err_and(|error| error.find::<gateway::ContractError>().is_some()))?;
        Ok(Chunks::empty())
    });
    let response = Client::new(app).get("/");
    assert!(recv(&reported), "the application gets a contract error");
    assert_eq!((response.outcome(), response.chunks().concat()), (Outcome::Complete, b"ab".to_vec()));
}
