//! Framing: the length of a response, and how its end is marked.

use gateway_tests::{Ending, Segments};

use crate::target::everywhere;

/// IT-01, IT-07, IT-10, HTTP-16, WR-04, WR-11: a body in one piece has a Content-Length, any other body is chunked, and
/// no body has both.
#[test]
fn a_body_has_a_length_or_is_chunked() {
    everywhere(|target| {
        let rows = [
            ("/ok", Ending::Length, "ok"),
            ("/bytes?n=3", Ending::Length, "xxx"),
            ("/empty", Ending::Length, ""),
            ("/stream?n=5&chunk=2", Ending::Chunked, "xxxxx"),
            ("/write", Ending::Chunked, "ABC"),
            ("/late", Ending::Chunked, "late"),
            ("/close", Ending::Chunked, "AB"),
        ];
        for (path, ending, body) in rows {
            let reply = target.get(path);
            let framing = (reply.header("content-length").is_some(), reply.header("transfer-encoding").is_some());
            // A body that turns out to be a single piece may have either framing.
            if path != "/late" {
                assert_eq!(reply.ending, ending, "{path}");
            }
            assert_ne!(framing.0, framing.1, "{path}");
            assert_eq!(reply.text(), body, "{path}");
        }
    });
}

/// HTTP-09, HTTP-10, IT-10: an HTTP/1.0 response is not chunked; the end of the connection ends a body without a
/// length.
#[test]
fn http_1_0_gets_no_chunks() {
    everywhere(|target| {
        let mut connection = target.connect();
        let reply = connection.request(&format!("GET {}/stream?n=5&chunk=2 HTTP/1.0\r\n\r\n", target.prefix));
        assert_eq!((reply.ending, reply.text().as_str()), (Ending::Closed, "xxxxx"));
        let mut connection = target.connect();
        let kept = format!("GET {}/ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", target.prefix);
        assert_eq!(connection.request(&kept).text(), "ok");
        assert_eq!(connection.request(&kept).text(), "ok");
    });
}

/// HTTP-01, HTTP-02, HTTP-03, END-08, END-09: HEAD is answered like GET, without the body.
#[test]
fn head_is_get_without_the_body() {
    everywhere(|target| {
        let rows = [
            ("/ok", Some("2")),
            ("/bytes?n=1000", Some("1000")),
            ("/big", Some("10485760")),
            ("/stream?n=5", None),
            ("/write", None),
            ("/empty", None),
            ("/raise", Some("22")),
        ];
        for (path, length) in rows {
            assert_eq!(target.head_then_ok(path).header("content-length"), length, "{path}");
        }
        assert_eq!(target.count("opened"), target.count("closed"));
    });
}

/// HTTP-04, WR-14, END-08: 204 and 304 have no body, whatever the application returns.
#[test]
fn statuses_without_a_body_have_none() {
    everywhere(|target| {
        let mut connection = target.connect();
        for path in ["/s204", "/s304", "/s204", "/s304"] {
            let reply = connection.request(&(target.head("GET", path) + "\r\n"));
            assert_eq!((reply.ending, reply.header("transfer-encoding")), (Ending::NoBody, None), "{path}");
            if path == "/s204" {
                assert_eq!(reply.header("content-length"), None);
            }
        }
        assert_eq!(connection.request(&(target.head("GET", "/ok") + "\r\n")).text(), "ok");
    });
}

/// HTTP-11, HTTP-12, HTTP-13, HTTP-14, HTTP-15, IT-14: the declared length is sent, or the response is visibly broken.
#[test]
fn a_declared_length_is_kept_or_visibly_broken() {
    everywhere(|target| {
        // The mismatch is known before the first byte was sent: a clean 500.
        for path in ["/cl-over", "/cl-under", "/cl-bad?v=4", "/cl-bad?v=6"] {
            let mut connection = target.connect();
            let reply = connection.request(&(target.head("GET", path) + "\r\n"));
            assert_eq!((reply.status(), reply.ending), (500, Ending::Length), "{path}");
            assert_eq!(connection.request(&(target.head("GET", "/ok") + "\r\n")).text(), "ok");
        }
        // In several pieces: exactly the declared number of bytes is sent, and the connection stays usable.
        let mut connection = target.connect();
        let reply = connection.request(&(target.head("GET", "/cl-over-stream") + "\r\n"));
        assert_eq!((reply.text().as_str(), reply.ending), ("hello", Ending::Length));
        assert_eq!(connection.request(&(target.head("GET", "/ok") + "\r\n")).text(), "ok");
        // Fewer bytes than declared: the response is aborted.
        let reply = target.get("/raise-mid?cl=1");
        assert_eq!((reply.text().as_str(), reply.ending), ("AAAA", Ending::Broken));
        assert_eq!(target.count("opened"), target.count("closed"));
    });
}

/// IT-06, IT-19, BP-05: large bodies arrive complete, in one piece and in many.
#[test]
fn large_bodies_arrive_whole() {
    everywhere(|target| {
        let reply = target.get("/big");
        assert_eq!((reply.body.len(), reply.ending), (10_485_760, Ending::Length));
        let reply = target.get("/bytes?n=3000000");
        assert_eq!((reply.body.len(), reply.ending), (3_000_000, Ending::Length));
        let chunk = if target.segments == Segments::Bytes { 100_000 } else { 1000 };
        let reply = target.get(&format!("/stream?n=1000000&chunk={chunk}"));
        assert_eq!((reply.body.len(), reply.ending), (1_000_000, Ending::Chunked));
        assert!(reply.body.iter().all(|byte| *byte == b'x'));
    });
}

/// WR-05, WR-06, IT-02: an empty piece is not sent as a chunk, because an empty chunk would end the body.
#[test]
fn an_empty_piece_is_no_chunk() {
    everywhere(|target| {
        let mut connection = target.begin("GET", "/empty-first", "\r\n");
        connection.head();
        assert_eq!([connection.chunk(), connection.chunk()], [b"body".to_vec(), b"!".to_vec()]);
        assert_eq!(connection.exactly(5), b"0\r\n\r\n");
    });
}
