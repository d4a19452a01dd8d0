//! The request body.

use std::io::{BufRead as _, Read as _};

use gateway::testing::{Client, with_request};
use gateway::{Chunks, Gateway, Input, InputError, application_fn};
use gateway_tests::{Journal, Server, answer_fn, block_on, capture_log, join};
use proptest::prelude::*;

fn reading<R>(body: &str, read: impl FnOnce(&mut Input) -> R) -> R {
    let client = Client::new(application_fn(|_, _| Ok(Chunks::empty())));
    let request = client.request("POST", "/").body(body.to_owned());
    with_request(request, |environ, _| read(environ.input())).returned
}

/// IN-01 to IN-09, IN-27: all ways of reading share one cursor.
#[test]
fn every_way_of_reading_shares_one_cursor() {
    reading("one\ntwo\rx\n\nfour", |input| {
        assert_eq!(input.read_up_to(0).unwrap(), b"");
        assert_eq!(input.read_up_to(2).unwrap(), b"on");
        assert_eq!(input.readline().unwrap(), b"e\n");
        assert_eq!(input.readline_up_to(3).unwrap(), b"two");
        assert_eq!(input.readline_up_to(0).unwrap(), b"");
        assert_eq!(input.readline_up_to(100).unwrap(), b"\rx\n");
        let mut byte = [0];
        input.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"\n");
        let mut text = String::new();
        input.read_line(&mut text).unwrap();
        assert_eq!(text, "four");
        for _ in 0..3 {
            assert_eq!(input.read_all().unwrap(), b"");
            assert_eq!(input.readline().unwrap(), b"");
            assert!(input.readlines(0).unwrap().is_empty());
            assert!(input.chunks(10).next().is_none());
        }
    });
}

/// IN-01: the whole rest of the body, after any earlier reads, and in any number of pieces.
#[test]
fn the_rest_is_read_at_once() {
    let body = "0123456789".repeat(20_000);
    reading(&body, |input| {
        assert_eq!(input.read_up_to(9_999).unwrap(), &body.as_bytes()[..9_999]);
        assert_eq!(input.read_bytes().unwrap(), &body[9_999..]);
    });
    reading(&body, |input| {
        let mut bytes = input.read_up_to(9_999).unwrap();
        assert_eq!((input.read_to_end(&mut bytes).unwrap(), &*bytes), (body.len() - 9_999, body.as_bytes()));
    });
}

/// IN-09: iterating yields the lines of `readline`, including line ends and bytes that are not text; an error ends the
/// iteration.
#[test]
fn iterating_gives_the_lines_of_readline() {
    let client = Client::new(application_fn(|_, _| Ok(Chunks::empty())));
    let request = client.request("POST", "/").body(&b"a\n\n\xff\r\nlast"[..]);
    let lines = with_request(request, |environ, _| environ.input().readline_iter().collect::<Result<Vec<_>, _>>());
    assert_eq!(lines.returned.unwrap(), [&b"a\n"[..], b"\n", b"\xff\r\n", b"last"]);
    let cut = client.request("POST", "/").body("a\nb\nc").cut_body_after(3);
    let lines =
        with_request(cut, |environ, _| environ.input().readline_iter().map(|line| line.is_ok()).collect::<Vec<_>>());
    assert_eq!(lines.returned, [true, false]);
}

/// IN-08.
#[test]
fn readlines_takes_its_hint_in_bytes() {
    reading("a\nbb\nccc\n", |input| {
        assert_eq!(input.readlines(3).unwrap(), [b"a\n".to_vec(), b"bb\n".to_vec()]);
        assert_eq!(input.readlines(0).unwrap(), [b"ccc\n"]);
    });
}

/// IN-12.
#[test]
fn a_request_without_a_body_is_at_its_end() {
    reading("", |input| assert_eq!(input.read_all().unwrap(), b""));
}

/// IN-28: an application cannot close its input: dropping the input does not affect the connection.
#[test]
fn a_dropped_input_leaves_the_connection_in_step() {
    let app = answer_fn(|environ| {
        drop(environ.take_input());
        assert_eq!(environ.input().read_all()?, b"");
        Ok(["ok"])
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    for _ in 0..2 {
        let reply = connection.request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(reply.text(), "ok");
    }
}

/// IN-13, IN-14: chunked bodies arrive decoded, without extensions and trailers.
#[test]
fn a_chunked_body_arrives_decoded() {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        let seen =
            [environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"), environ.get("HTTP_X_TRAILER")];
        assert_eq!(seen, [None; 3]);
        Ok(Chunks::new([environ.input().read_all()?]))
    });
    let server = Server::of(app);
    let reply = server.connect().request(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: evil\r\n\r\n",
    );
    assert_eq!(reply.text(), "abcde");
}

/// IN-17, IN-19: a truncated body is an error, and 400 if the application does not handle the error.
#[test]
fn a_body_cut_short_never_looks_complete() {
    let (journal, noted) = Journal::pair();
    let app = answer_fn(move |environ| {
        let body = environ.input().read_all()?;
        noted.note("a complete body");
        Ok([body])
    });
    let server = Server::of(app);
    let heads = ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"];
    for rest in heads {
        let mut connection = server.connect();
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\n{rest}"));
        connection.finish_sending();
        assert_eq!(connection.reply().status(), 400, "{rest}");
    }
    // The application runs after the answers above, or never.
    assert_eq!(server.get("/").status(), 200);
    assert_eq!(journal.count("a complete body"), 1);
}

/// IN-20, SEC-08: a declared length over the limit is refused before the body is read; an undeclared length is refused
/// when the limit is exceeded.
#[test]
fn a_body_over_the_limit_is_413() {
    let app = application_fn(|environ, start_response| {
        assert!(environ.content_length().is_none(), "must not run");
        let error = environ.input().read_all().expect_err("too large");
        assert_eq!(error.find::<InputError>(), Some(&InputError::TooLarge { limit: 10 }));
        let _ = start_response;
        Err(error.into())
    });
    let server = Server::of(Gateway::new(app).body_limit(10));
    let reply = server.connect().request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world");
    assert_eq!((reply.status(), reply.text().as_str()), (413, "Payload Too Large: the limit is 10 bytes\n"));
    let reply = server
        .connect()
        .request("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n");
    assert_eq!(reply.status(), 413);
}

/// HTTP-22: a refusal reaches a client that sends its whole body before it reads.
#[test]
fn a_refusal_survives_an_unread_body() {
    let server = Server::of(Gateway::new(application_fn(|_, _| Ok(Chunks::empty()))).body_limit(10));
    for _ in 0..50 {
        let mut connection = server.connect();
        let body = "x".repeat(1 << 20);
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        // The server may close the connection before it has received everything.
        let _ = connection.try_send_bytes(body.as_bytes());
        assert_eq!(connection.reply().status(), 413);
    }
}

/// LOG-11: an error of the client is not logged as a failure of the application.
#[test]
fn a_client_error_is_not_an_error_of_the_application() {
    let app = application_fn(|environ, _| {
        environ.input().read_all()?;
        Ok(Chunks::empty())
    });
    let client = Client::of(Gateway::new(app).body_limit(3).executor(gateway::testing::Inline::new()));
    let request = client.request("POST", "/").body("hello").header("transfer-encoding", "chunked");
    let (response, log) = capture_log(|| request.send());
    assert_eq!(response.status(), 413);
    assert!(log.is_empty(), "{log:?}");
}

/// IN-20: if a library hides the error of its reader, the client's error does not become a 500.
#[test]
fn a_hidden_body_error_keeps_its_status() {
    let app = application_fn(|environ, _| match environ.input().read_all() {
        Ok(_) => Ok(Chunks::empty()),
        Err(error) => Err(gateway::Error::new(format!("import failed: {error}"))),
    });
    let client = Client::of(Gateway::new(app).body_limit(3).executor(gateway::testing::Inline::new()));
    let response = client.request("POST", "/").body("hello").header("transfer-encoding", "chunked").send();
    assert_eq!(response.status(), 413);

    // The same if the input was taken, and if the application swallows the error and starts no response.
    let takes = gateway::http_fn(|mut request: http::Request<Input>| match request.body_mut().read_all() {
        Ok(_) => Ok(http::Response::new(Chunks::empty())),
        Err(_) => Err("import failed"),
    });
    let swallows = application_fn(|environ, _| {
        let _ = environ.input().read_all();
        Ok(Chunks::empty())
    });
    let apps: [Box<dyn gateway::Application>; 2] = [Box::new(takes), Box::new(swallows)];
    for app in apps {
        let client = Client::of(Gateway::new(app).body_limit(3).executor(gateway::testing::Inline::new()));
        let request = client.request("POST", "/").body("hello").header("transfer-encoding", "chunked");
        let (response, log) = capture_log(|| request.send());
        assert_eq!((response.status().as_u16(), log.len()), (413, 0), "{log:?}");
    }
}

/// IN-17: a body was declared, and no byte of it arrives.
#[test]
fn a_declared_body_that_never_comes_is_incomplete() {
    let app = application_fn(|environ, start_response| {
        let error = environ.input().read_all().expect_err("there is none");
        assert_eq!(error.find::<InputError>(), Some(&InputError::Incomplete));
        // An error ends the iteration, so that a loop over the input ends, too.
        assert_eq!(environ.input().chunks(10).count(), 1);
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    let response = Client::new(app).request("POST", "/").header("content-length", "10").send();
    assert_eq!(response.text(), "ok");
}

/// IN-23, HTTP-05, HTTP-06: `100 Continue` is sent at the application's first read, and not before.
#[test]
fn continue_is_sent_at_the_first_read() {
    let app = application_fn(|environ, start_response| {
        if environ.path_info() == "/unread" {
            start_response("403 Forbidden", &[])?;
            return Ok(Chunks::new(["no"]));
        }
        let body = environ.input().read_all()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new([body]))
    });
    let server = Server::of(app);
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");

    let mut connection = server.connect();
    connection.send(&head("/read"));
    assert!(connection.head().0.starts_with("HTTP/1.1 100"));
    connection.send("hello");
    assert_eq!(connection.reply().text(), "hello");

    let reply = server.connect().request(&head("/unread"));
    assert_eq!(reply.status(), 403);
}

/// Framing is the same for every method.
#[test]
fn a_get_may_have_a_body() {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(environ.input().chunks(100)))
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(reply.text(), "hello");
    assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "");
}

/// IN-22: the unread part of a body is never parsed as a request.
#[test]
fn an_unread_body_never_becomes_a_request() {
    let (journal, noted) = Journal::pair();
    let app = answer_fn(move |environ| {
        noted.note(environ.path_info());
        Ok(["ok"])
    });
    let server = Server::of(app);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n".repeat(5000);
    let mut connection = server.connect();
    let sending = connection.post_meanwhile(smuggled);
    assert_eq!(connection.reply().text(), "ok");
    join(sending);
    connection.finish_sending();
    connection.discard_until_closed();
    assert_eq!(server.get("/last").text(), "ok");
    assert_eq!(journal.lines(), ["/", "/last"]);
}

/// IN-22, HTTP-22, HTTP-10: if a body is not read, the response arrives completely, and the connection is closed.
#[test]
fn an_unread_body_costs_the_connection_and_not_the_response() {
    const LARGE: usize = 4 * 1024 * 1024;
    let app = answer_fn(|_| Ok(vec![vec![b'x'; LARGE / 2]; 2]));
    let server = Server::of(app);
    let body = vec![b'y'; 800_000];
    for framing in
        [format!("Content-Length: {}\r\n\r\n", body.len()), "Transfer-Encoding: chunked\r\n\r\nc3500\r\n".into()]
    {
        let mut connection = server.connect();
        connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}"));
        let mut sender = connection.second_handle();
        let (body, chunked) = (body.clone(), framing.starts_with("Transfer"));
        let sending = std::thread::spawn(move || {
            sender.send_bytes(&body);
            if chunked {
                sender.send("\r\n0\r\n\r\n");
            }
        });
        let reply = connection.reply();
        assert_eq!((reply.status(), reply.body.len()), (200, LARGE));
        join(sending);
        assert!(connection.is_closed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// IN-10: lines are complete, whatever the segments of the network.
    #[test]
    fn lines_survive_any_split(text in "[a-c\n]{0,60}", cuts in proptest::collection::vec(1_usize..8, 1..20)) {
        let app = application_fn(|environ, start_response| {
            start_response("200 OK", &[])?;
            let lines = environ.input().readlines(0)?;
            Ok(Chunks::new([lines.iter().map(|line| format!("[{}]", line.escape_ascii())).collect::<String>()]))
        });
        let gateway = Gateway::new(app).executor(gateway::testing::Inline::new());
        let (mut rest, mut cuts) = (bytes::Bytes::from(text.clone()), cuts.into_iter().cycle());
        let frames = std::iter::from_fn(move || {
            let size = cuts.next()?.min(rest.len());
            (size > 0).then(|| Ok::<_, std::convert::Infallible>(http_body::Frame::data(rest.split_to(size))))
        });
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let request = http::Request::post("/").body(body).unwrap();
        let answered = block_on(async {
            let response = tower::ServiceExt::oneshot(gateway, request).await.unwrap();
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes()
        });
        let expected: String =
            text.split_inclusive('\n').map(|line| format!("[{}]", line.as_bytes().escape_ascii())).collect();
        prop_assert_eq!(answered, expected.as_bytes());
    }
}
