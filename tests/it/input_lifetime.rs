//! An input that outlives its request, because the application keeps it.

use std::io::BufRead as _;

use gateway::testing::Client;
use gateway::{Chunks, Gateway, Spool, application_fn};
use gateway_tests::{Server, answer_fn, join, recv};

/// IN-24, IN-25: an application may take its input. The input is inert after the request.
#[test]
fn an_input_kept_past_its_request_fails_cleanly() {
    let (keep, kept) = std::sync::mpsc::channel();
    let app = answer_fn(move |environ| {
        keep.send(environ.take_input())?;
        assert_eq!(environ.input().read_all()?, b"");
        Ok(["ok"])
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    let body = "x".repeat(200_000);
    let sending = connection.post_meanwhile(body);
    assert_eq!(connection.reply().text(), "ok");
    // The connection is still open; only the request has ended.
    join(sending);
    let mut input = recv(&kept);
    let error = join(std::thread::spawn(move || input.read_all().expect_err("the request is over")));
    assert!(error.is_disconnected(), "{error:?}");
}

/// IN-24, IN-26: a complete input, in memory or partly in a file, is inert after its request, too, whether or not a
/// part of it was read.
#[test]
fn a_complete_input_kept_past_its_request_fails_cleanly() {
    let spool = Spool::builder().memory(4).build().unwrap();
    for spool in [None, Some(&spool)] {
        let (keep, kept) = std::sync::mpsc::channel();
        let app = answer_fn(move |environ| {
            assert_eq!(environ.input().read_up_to(3)?, b"hel");
            let mut input = environ.take_input();
            assert_eq!(input.read_up_to(2)?, b"lo");
            keep.send(input)?;
            Ok(["ok"])
        });
        let gateway = Gateway::new(app);
        let gateway = spool.map_or(gateway.clone(), |spool| gateway.spool(spool));
        let server = Server::of(gateway);
        // The second chunk does not fit in the spool's memory.
        let chunked =
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        assert_eq!(server.connect().request(chunked).text(), "ok");
        let mut input = recv(&kept);
        for _ in 0..2 {
            let error = input.read_all().expect_err("the request is over");
            assert!(error.is_disconnected(), "{error:?}");
        }
    }
}

/// IN-03, IN-27: buffered bytes stay buffered when the input is taken.
#[test]
fn an_input_that_is_taken_keeps_its_place() {
    let app = application_fn(|environ, start_response| {
        let shown = environ.input().fill_buf()?.len();
        let mut input = environ.take_input();
        input.consume(shown);
        start_response("200 OK", &[("X-Shown", &shown.to_string())])?;
        Ok(Chunks::new([input.read_all()?]))
    });
    let body = "0123456789".repeat(1000);
    // The body is complete when the application is called, or incomplete.
    for body in [&body[..10], &body] {
        let server = Server::of(Gateway::new(app).read_ahead(1024));
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
        let reply = server.connect().request(&format!("{head}{body}"));
        let shown: usize = reply.header("x-shown").unwrap().parse().unwrap();
        assert!(shown > 0);
        assert_eq!(reply.text(), body[shown..]);
    }
}

/// IN-24: an input that was read to its end stays at its end.
#[test]
fn an_input_that_was_read_is_at_its_end_for_good() {
    let (keep, kept) = std::sync::mpsc::channel();
    let app = answer_fn(move |environ| {
        let mut input = environ.take_input();
        assert_eq!(input.read_all()?, b"hello");
        keep.send(input)?;
        Ok(["ok"])
    });
    assert_eq!(Client::new(app).post("/", "hello").text(), "ok");
    assert_eq!(recv(&kept).read_all().unwrap(), b"");
}
