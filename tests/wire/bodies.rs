//! Request bodies.

use gateway_tests::Ending;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::target::{Target, everywhere, everywhere_with};

const TEXT: &str = "first line\nsecond\n\nfourth, which\ris longer\nlast";

fn pieces(target: &Target<'_>, how: &str) -> Value {
    serde_json::from_str(&target.post(&format!("/read?how={how}"), TEXT).text()).unwrap()
}

/// IN-01 to IN-03, IN-05 to IN-11: all ways of reading share one cursor, and none reads beyond the end of the body.
#[test]
fn every_way_of_reading_gives_the_same_bytes() {
    everywhere(|target| {
        assert_eq!(pieces(target, "read"), json!([TEXT]));
        assert_eq!(pieces(target, "read_n&n=1000"), json!([TEXT]));
        let by_seven: Vec<_> = TEXT.as_bytes().chunks(7).map(|piece| String::from_utf8_lossy(piece)).collect();
        assert_eq!(pieces(target, "read_n&n=7"), json!(by_seven));
        let lines = json!(["first line\n", "second\n", "\n", "fourth, which\ris longer\n", "last"]);
        assert_eq!(pieces(target, "readline"), lines);
        assert_eq!(pieces(target, "readlines"), lines);
        assert_eq!(pieces(target, "iter"), lines);
        let short = json!(["first ", "line\n", "second", "\n", "\n", "fourth", ", whic", "h\ris l", "onger\n", "last"]);
        assert_eq!(pieces(target, "readline&n=6"), short);
        let mixed = json!(["first line\n", "sec", "ond\n", "\nfourth, which\ris longer\nlast"]);
        assert_eq!(pieces(target, "mixed"), mixed);
    });
}

/// IN-12, IN-04: reading the body of a request without a body returns the end at once.
#[test]
fn a_request_without_a_body_is_at_its_end() {
    everywhere(|target| {
        assert_eq!(target.get("/read?how=read").text(), r#"[""]"#);
        assert_eq!(target.get("/read?how=readline").text(), "[]");
        assert_eq!(target.post("/read?how=read", "").text(), r#"[""]"#);
    });
}

/// IN-13, IN-14, IN-11, ENV-12: chunked bodies arrive decoded, and end after their last chunk.
#[test]
fn a_chunked_body_ends_where_it_says() {
    everywhere(|target| {
        let mut connection = target.connect();
        let head = target.head("POST", "/echo");
        connection.send(&format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n7\r\n, world\r\n0\r\nX-Trailer: no\r\n\r\n{}\r\n",
            target.head("GET", "/ok")
        ));
        assert_eq!(connection.reply().text(), "hello, world");
        assert_eq!(connection.reply().text(), "ok");
    });
}

/// IN-15, IT-04, IT-05, BP-09: the application reads and echoes the body while the client still sends it.
#[test]
fn a_body_streams_in_both_directions() {
    // Without read-ahead, the application is called before the first byte of the body.
    everywhere_with(&["--read-ahead", "0"], |target| {
        let mut connection = target.begin("POST", "/echo", "Transfer-Encoding: chunked\r\n\r\n");
        target.await_count("echo", 1);
        connection.send("3\r\nabc\r\n");
        connection.head();
        // The number of chunks depends on the network.
        let mut echoed = Vec::new();
        while echoed.len() < 3 {
            echoed.extend(connection.chunk());
        }
        assert_eq!(echoed, b"abc");
        connection.send("2\r\nde\r\n0\r\n\r\n");
        assert_eq!(connection.rest_of_chunks(), Ending::Chunked);
    });
}

/// IN-10, IN-16: a large body arrives unchanged, chunked or not.
#[test]
fn a_large_body_arrives_unaltered() {
    everywhere(|target| {
        let body: Vec<u8> = (0..3_000_000).map(|at: u32| u8::try_from(at % 253).unwrap()).collect();
        let sum: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = json!({ "bytes": body.len(), "sha256": sum });
        let mut connection = target.connect();
        connection.send(&format!("{}Content-Length: {}\r\n\r\n", target.head("POST", "/sum"), body.len()));
        connection.send_bytes(&body);
        assert_eq!(serde_json::from_str::<Value>(&connection.reply().text()).unwrap(), expected);
        connection.send(&format!("{}Transfer-Encoding: chunked\r\n\r\n", target.head("POST", "/sum")));
        body.chunks(70_001).chain([&[][..]]).for_each(|chunk| connection.send_chunk(chunk));
        assert_eq!(serde_json::from_str::<Value>(&connection.reply().text()).unwrap(), expected);
    });
}

/// IN-17, IN-19: a truncated body is an error for the application, and is never reported as a success.
#[test]
fn a_body_that_is_cut_short_never_looks_complete() {
    everywhere(|target| {
        let before = [target.count("sum_success"), target.count("sum_error")];
        let rests = ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"];
        for rest in rests {
            let mut connection = target.connect();
            connection.send(&format!("{}{rest}", target.head("POST", "/sum")));
            connection.finish_sending();
            assert_eq!(connection.reply().status(), 400, "{rest}");
        }
        let mut connection = target.connect();
        let head = target.head("POST", "/sum");
        connection.send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnot a size\r\n"));
        assert_eq!(connection.reply().status(), 400);
        // The application saw an error, or did not run because the body broke during read-ahead.
        assert_eq!(target.count("sum_success"), before[0]);
        assert!(target.count("sum_error") >= before[1]);
    });
}

/// IN-20, SEC-08: the body limit applies to the declared length and to the received bytes.
#[test]
fn a_body_over_the_limit_is_413_and_its_connection_ends_in_order() {
    everywhere_with(&["--max-body", "1000"], |target| {
        let mut connection = target.connect();
        connection.send(&format!("{}Content-Length: 1001\r\n\r\n{}", target.head("POST", "/sum"), "x".repeat(1001)));
        assert_eq!(connection.reply().status(), 413);
        let mut connection = target.begin("POST", "/sum", "Transfer-Encoding: chunked\r\n\r\n3e9\r\n");
        connection.send(&format!("{}\r\n0\r\n\r\n", "x".repeat(1001)));
        let refused = connection.reply();
        assert_eq!((refused.status(), refused.header("connection")), (413, Some("close")));
        assert!(connection.is_closed());
        assert_eq!(target.get("/ok").text(), "ok");
        assert_eq!(target.post("/sum", &"x".repeat(1000)).status(), 200);
        assert_eq!(
            target.count("sum_success") + target.count("sum_error"),
            if target.prefix.is_empty() { 2 } else { 4 }
        );
    });
}

/// IN-21, IN-18, SEC-12: a body that does not arrive in time is a 408.
#[test]
fn a_body_that_does_not_come_is_408() {
    everywhere_with(&["--body-idle-ms", "100"], |target| {
        let mut connection = target.begin("POST", "/sum", "Content-Length: 10\r\n\r\nhello");
        assert_eq!(connection.reply().status(), 408);
    });
}

/// HTTP-05 to HTTP-08, IN-23: the server sends `100 Continue` at the application's first read, and never otherwise.
#[test]
fn continue_is_said_at_the_first_read_and_only_then() {
    everywhere(|target| {
        let expecting =
            |path: &str| format!("{}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", target.head("POST", path));
        let mut connection = target.connect();
        connection.send(&expecting("/echo"));
        assert!(connection.head().0.starts_with("HTTP/1.1 100"));
        connection.send("hello");
        assert_eq!(connection.reply().text(), "hello");
        let mut connection = target.connect();
        connection.send(&expecting("/noread"));
        assert_eq!(connection.reply().text(), "ok");
        // HTTP/1.0 has no `100 Continue`, and a request without a body does not need it.
        let mut connection = target.connect();
        let old =
            format!("POST {}/echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", target.prefix);
        assert_eq!(connection.request(&old).text(), "hello");
        let mut connection = target.connect();
        let empty = format!("{}Expect: 100-continue\r\n\r\n", target.head("GET", "/read?how=read"));
        assert_eq!(connection.request(&empty).text(), r#"[""]"#);
        // Any other expectation is ignored.
        let mut connection = target.connect();
        let odd = format!("{}Expect: miracles\r\nContent-Length: 5\r\n\r\nhello", target.head("POST", "/echo"));
        assert_eq!(connection.request(&odd).text(), "hello");
    });
}

/// IN-22, HTTP-22, HTTP-10: an unread body is never parsed as a request, and the response still arrives.
#[test]
fn an_unread_body_is_never_taken_for_a_request() {
    everywhere(|target| {
        let smuggled = target.head("GET", "/smuggled") + "\r\n";
        let mut connection = target.connect();
        for _ in 0..3 {
            connection.send(&format!(
                "{}Content-Length: {}\r\n\r\n{smuggled}",
                target.head("POST", "/noread"),
                smuggled.len()
            ));
            let reply = connection.reply();
            assert_eq!(reply.text(), "ok");
            // The server does not wait for a body that did not arrive together with its head.
            if reply.header("connection") == Some("close") {
                connection = target.connect();
            }
        }
        let mut connection = target.connect();
        let size = format!("{:x}", smuggled.len());
        let head = target.head("POST", "/noread");
        connection.send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{smuggled}\r\n0\r\n\r\n"));
        assert_eq!(connection.reply().text(), "ok");
        assert_eq!(target.count("smuggled"), 0);
    });
}
