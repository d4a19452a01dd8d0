//! Requests that the gateway or the server refuses before an application sees them.

use axum::body::Body;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{Journal, Server, answer_fn};
use tower::ServiceExt as _;

fn echo_target() -> Server {
    let app = answer_fn(|environ| {
        let keys = ["REQUEST_METHOD", "PATH_INFO", "REQUEST_URI"];
        Ok([keys.map(|key| environ.get(key).unwrap_or("-")).join("|")])
    });
    Server::of(app)
}

fn status(head: &str) -> u16 {
    echo_target().connect().request(&format!("{head}\r\n\r\n")).status()
}

/// SEC-04.
#[test]
fn a_field_that_means_one_thing_comes_once() {
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: a"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Type: a\r\nContent-Type: a"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nAccept: a\r\nAccept: a"), 200);
}

/// SEC-04: a host is a name or an address, and perhaps the number of a port (RFC 9112 §3.2), in the field and in the
/// target.
#[test]
fn what_is_no_host_is_refused() {
    for host in ["a", "A.example:8080", "a:", "1.2.3.4:65535", "[::1]:80", "[::1]", "[v1.x]", "a%41_~"] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {host}")), 200, "{host}");
        assert_eq!(status(&format!("GET / HTTP/1.0\r\nHost: {host}")), 200, "{host}");
    }
    assert_eq!(status("GET / HTTP/1.1\r\nHost:"), 200);
    let others =
        ["a:x", "a:65536", "a:99999999999", ":80", "[::1", "[zz]", "::1", "1.2.3.4:5:6", "a%zz", "a b", "u@a", "a/"];
    for host in others {
        for version in ["1.0", "1.1"] {
            assert_eq!(status(&format!("GET / HTTP/{version}\r\nHost: {host}")), 400, "{host}");
            // The field is ignored beside the host of a target, but has to be one.
            assert_eq!(status(&format!("GET http://a/ HTTP/{version}\r\nHost: {host}")), 400, "{host}");
        }
    }
    for host in ["a:x", "a:65536", ":80", "[::1", "[zz]", "::1", "1.2.3.4:5:6", "a%zz", "u:p@a:x"] {
        assert_eq!(status(&format!("GET http://{host}/ HTTP/1.1\r\nHost: a")), 400, "{host}");
    }
}

/// SEC-04: a length is repeated, not contradicted, whatever the server below lets pass (RFC 9110 §8.6).
#[tokio::test(crate = "crate::bounded")]
async fn lengths_that_contradict_each_other_are_refused() {
    let gateway = Gateway::new(answer_fn(|environ| Ok([environ.get("CONTENT_LENGTH").unwrap_or("-").to_owned()])));
    for version in [http::Version::HTTP_10, http::Version::HTTP_11, http::Version::HTTP_2] {
        let cases: [(&[&str], u16); 7] = [
            (&["4"], 200),
            (&["4", "4"], 200),
            (&["4", "5"], 400),
            (&["5", "4"], 400),
            (&["4", "4", "5"], 400),
            (&["4", "4, 4"], 400),
            (&["x", "4"], 400),
        ];
        for (lengths, status) in cases {
            let request = http::Request::post("http://a/").version(version);
            let request = lengths.iter().fold(request, |request, length| request.header("content-length", *length));
            let response = gateway.clone().oneshot(request.body(Body::from("body")).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{version:?} {lengths:?}");
        }
    }
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
    // Not a target, and hyper does not say that there was a fragment.
    let reply = echo_target().connect().request("GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.text(), "GET|/a|/a?b");
}

/// SEC-07: with two framings the chunked framing applies, and the connection is closed.
#[test]
fn a_body_has_one_coding_and_one_length() {
    for (coding, expected) in
        [("gzip, chunked", 501), ("identity, chunked", 501), ("chunked\r\nTransfer-Encoding: chunked", 501)]
    {
        let status = status(&format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0"));
        assert_eq!(status, expected, "{coding}");
    }
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |environ, start_response| {
        noted.note(format!("{} {:?}", environ.path_info(), environ.get("CONTENT_LENGTH")));
        start_response("200 OK", &[])?;
        Ok(Chunks::new([environ.input().read_all()?]))
    });
    let server = Server::of(app);
    for framings in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let body = format!("5\r\nhello\r\n0\r\n\r\n{smuggled}");
        let mut connection = server.connect();
        // The server may close the connection before it has received everything.
        let _ = connection.try_send_bytes(format!("POST / HTTP/1.1\r\nHost: a\r\n{framings}\r\n\r\n{body}").as_bytes());
        assert_eq!(connection.reply().text(), "hello", "{framings}");
        assert!(connection.is_closed(), "{framings}");
    }
    assert_eq!(journal.lines(), ["/ None", "/ None"]);
}
