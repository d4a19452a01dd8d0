//! Requests that no application sees.

use gateway::{Chunks, application_fn};
use gateway_tests::{Segments, Server};

fn echo_target() -> Server {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        let keys = ["REQUEST_METHOD", "PATH_INFO", "REQUEST_URI"];
        Ok(Chunks::new([keys.map(|key| environ.get(key).unwrap_or("-")).join("|")]))
    });
    Server::of(app)
}

fn status(head: &str) -> u16 {
    // The body, if any, is the one an unaware server would read.
    echo_target().connect().request(&format!("{head}\r\n\r\n")).status()
}

/// SEC-04.
#[test]
fn a_field_that_means_one_thing_comes_once() {
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: a"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Type: a\r\nContent-Type: a"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nAccept: a\r\nAccept: a"), 200);
}

/// ENV-40, HTTP-18.
#[test]
fn a_target_is_a_path_or_the_asterisk_of_options() {
    assert_eq!(status("GET * HTTP/1.1\r\nHost: a"), 400);
    assert_eq!(status("GET host:80 HTTP/1.1\r\nHost: a"), 400);
    assert_eq!(status("CONNECT host:80 HTTP/1.1\r\nHost: a"), 501);
    assert_eq!(status("GET http://a/x HTTP/1.1\r\nHost: a"), 200);
    let reply = echo_target().connect().request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.text(), "OPTIONS||*");
}

/// SEC-07: two framings are the chunked one, and the connection ends with them.
#[test]
fn a_body_has_one_coding_and_one_length() {
    for coding in ["gzip, chunked", "identity, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let reply = status(&format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0"));
        assert!(matches!(reply, 400 | 501), "{coding}: {reply}");
    }
    let app = application_fn(|environ, start_response| {
        assert_eq!(environ.get("CONTENT_LENGTH"), None);
        start_response("200 OK", &[])?;
        Ok(Chunks::new([environ.input().read_all()?]))
    });
    let server = Server::of(app);
    for framings in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let mut connection = server.connect();
        let sent = connection.try_send_bytes(
            format!("POST / HTTP/1.1\r\nHost: a\r\n{framings}\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
                .as_bytes(),
        );
        match connection.reply_or_reset() {
            Some(reply) => {
                assert!(reply.status() == 400 || reply.text() == "hello", "{framings}: {reply:?}");
                assert!(connection.is_closed(), "{framings}");
            }
            None => assert!(sent.is_err() || Segments::wanted() == Segments::Bytes, "{framings}: no reply"),
        }
    }
}
