//! Files as bodies.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::mpsc;

use gateway::testing::{Client, Inline, Outcome};
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse, application_fn};
use gateway_tests::{Ending, Flavour, Server, capture_log, recv};

/// Large enough to be sent without a pool thread.
const LARGE: usize = 1_000_000;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// An unlinked file, at its start.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// Sends a file of this length from this position, with these headers.
struct Sends {
    length: usize,
    from: u64,
    declared: Option<&'static str>,
}

impl Application for Sends {
    fn call<'r>(&'r self, _: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let mut file = file(&pattern(self.length));
        file.seek(SeekFrom::Start(self.from))?;
        start_response("200 OK", self.declared.map(|length| ("Content-Length", length)).as_slice())?;
        Ok(Chunks::file(file))
    }
}

/// FW-01, FW-05, FW-06, FW-08: the body is the file from its current position to its end, or the declared length; an
/// undeclared length is the file's.
#[test]
fn a_file_is_sent_from_where_it_is_to_its_end_or_its_declared_length() {
    let rows = [
        (10, 0, None, 0..10),
        (10, 4, None, 4..10),
        (10, 4, Some("3"), 4..7),
        (LARGE, 0, None, 0..LARGE),
        (LARGE, 7, None, 7..LARGE),
        (LARGE, 7, Some("500000"), 7..500_007),
        (LARGE, 7, Some("5"), 7..12),
    ];
    for flavour in Flavour::ALL {
        for (length, from, declared, expected) in rows.clone() {
            let app = Sends { length, from, declared };
            let server = Server::on(flavour, app);
            let mut connection = server.connect();
            for _ in 0..2 {
                let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                assert_eq!(reply.ending, Ending::Length, "{length} {from} {declared:?}");
                assert!(reply.body == pattern(length)[expected.clone()], "{length} {from} {declared:?}");
            }
        }
    }
}

/// FW-06, HTTP-13: a file that is shorter than declared is detected before the first byte is sent.
#[test]
fn a_file_that_is_too_short_is_a_500() {
    for length in [10, LARGE] {
        let client = Client::new(Sends { length, from: 0, declared: Some("2000000") });
        let (response, log) = capture_log(|| client.get("/"));
        assert_eq!((response.status().as_u16(), log.len()), (500, 1), "{log:?}");
    }
}

/// FW-07, HTTP-02.
#[test]
fn head_gets_the_length_of_the_file_and_none_of_it() {
    for length in [10, LARGE] {
        let app = Sends { length, from: 0, declared: None };
        let server = Server::of(app);
        let mut connection = server.connect();
        assert_eq!(connection.request_head("/").header("content-length"), Some(length.to_string().as_str()));
        // The connection stays usable.
        assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").body.len(), length);
    }
    let app = application_fn(|_, start_response| {
        start_response("304 Not Modified", &[("ETag", "\"1\"")])?;
        Ok(Chunks::file(file(&pattern(LARGE))))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.chunks().len()), (304, 0));
}

/// FW-08, BP-07: the thread is free before the client has read a byte of the file.
#[test]
fn a_file_on_its_way_keeps_no_thread() {
    const HUGE: usize = 32 * 1024 * 1024;
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        if environ.path_info() == "/file" {
            return Ok(Chunks::file(file(&pattern(HUGE))));
        }
        Ok(Chunks::new(["free"]))
    });
    let pool = Pool::builder().threads(1).queue(1).build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool));
    let mut download = server.ask("/file");
    let (_, headers) = download.head();
    assert!(headers.contains(&("content-length".to_owned(), HUGE.to_string())), "{headers:?}");
    for _ in 0..3 {
        assert_eq!(server.get("/").text(), "free");
    }
    assert!(download.exactly(HUGE) == pattern(HUGE));
}

/// ERR-05: a file that shrinks while it is sent never looks complete.
#[test]
fn a_file_that_shrinks_breaks_the_message_off() {
    const HUGE: usize = 32 * 1024 * 1024;
    let (keep, kept) = mpsc::channel();
    let app = application_fn(move |_, start_response| {
        let file = file(&pattern(HUGE));
        keep.send(file.try_clone()?)?;
        start_response("200 OK", &[])?;
        Ok(Chunks::file(file))
    });
    let server = Server::of(app);
    let mut download = server.ask("/");
    let (line, headers) = download.head();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    recv(&kept).set_len(1000).unwrap();
    let reply = download.body_of(line, headers);
    assert_eq!(reply.ending, Ending::Broken);
    assert!(reply.body.len() < HUGE);
}

/// EXT-01, FW-02, FW-03, FW-04: under middleware, after a write, and without a regular file, the body is sent like any
/// other.
#[test]
fn a_file_is_a_plain_body_wherever_it_has_to_be() {
    struct Inverted<A>(A);
    impl<A: Application> Application for Inverted<A> {
        fn call<'r>(
            &'r self,
            environ: &'r mut Environ,
            start_response: StartResponse<'r>,
        ) -> gateway::Result<Chunks<'r>> {
            let chunks = self.0.call(environ, start_response)?;
            Ok(Chunks::new(
                chunks
                    .into_iter()
                    .map(|chunk| Ok::<_, gateway::Error>(chunk?.iter().map(|byte| !byte).collect::<bytes::Bytes>())),
            ))
        }
    }
    let server = Server::of(Inverted(Sends { length: LARGE, from: 3, declared: None }));
    let reply = server.get("/");
    assert_eq!(reply.ending, Ending::Chunked);
    assert!(reply.body.iter().map(|byte| !byte).eq(pattern(LARGE).into_iter().skip(3)));

    let written = Client::of(Gateway::new(application_fn(|_, start_response| {
        start_response("200 OK", &[])?.send("first ")?;
        Ok(Chunks::file(file(b"then the file")))
    })));
    assert_eq!(written.get("/").text(), "first then the file");

    // Files of the kernel claim to be empty, and are not.
    let kernel = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::file(File::open("/proc/self/status")?))
    });
    let response = Client::of(Gateway::new(kernel).executor(Inline::new())).get("/");
    assert_eq!(response.outcome(), Outcome::Complete);
    assert!(response.text().starts_with("Name:"));
}

/// FW-07: an empty file is an empty response.
#[test]
fn an_empty_file_is_an_empty_body() {
    let response = Client::new(Sends { length: 0, from: 0, declared: None }).get("/");
    assert_eq!((response.text().as_str(), response.headers()["content-length"].to_str().unwrap()), ("", "0"));
}
