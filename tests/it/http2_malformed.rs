//! Malformed HTTP/2 requests, as frames.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use gateway::Gateway;
use gateway_tests::frames::flag::{ACK, END_HEADERS, END_STREAM};
use gateway_tests::frames::kind::{DATA, GOAWAY, HEADERS, RST_STREAM, SETTINGS};
use gateway_tests::frames::{PREFACE, frame};
use gateway_tests::{BOUND, Flavour, Server, answer_fn};

/// The server's reaction on a stream.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The status and the body of a complete response.
    Whole(u16, String),
    /// The error code of the stream's reset.
    Reset(u32),
    /// The error code of the connection's GOAWAY.
    GoAway(u32),
}

/// A connection that sends frames, valid or not.
struct Frames(TcpStream);

impl Frames {
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(PREFACE).unwrap();
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.write_all(&frame(kind, flags, stream, payload)).unwrap();
    }

    /// Sends fields as literals without an index (RFC 7541 §6.2.2).
    fn fields(&mut self, flags: u8, stream: u32, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS | flags, stream, &block);
    }

    fn answer(&mut self, wanted: u32) -> Answer {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).unwrap();
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).unwrap();
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                GOAWAY => return Answer::GoAway(code(4)),
                _ if u32::from_be_bytes(stream) != wanted => {}
                RST_STREAM => return Answer::Reset(code(0)),
                // The names at these indexes of the static table (RFC 7541, appendix A).
                HEADERS => status = [200, 204, 206, 304, 400, 404, 500][usize::from(payload[0] - 0x88)],
                DATA => body.extend(payload),
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && u32::from_be_bytes(stream) == wanted && flags & END_STREAM != 0 {
                return Answer::Whole(status, String::from_utf8(body).unwrap());
            }
        }
    }
}

/// SEC-04, ENV-19: `Host` and `:authority` must name the same host, without a user (RFC 9113 §8.3.1). They are
/// compared like URIs: case-insensitively, and the scheme's default port equals no port.
#[test]
fn a_host_that_differs_from_the_authority_is_refused() {
    let app = || Gateway::new(answer_fn(|environ| Ok([environ.get("HTTP_HOST").unwrap_or("-").to_owned()])));
    let refused = Answer::Whole(400, String::from("Bad Request\n"));
    for flavour in Flavour::ALL {
        let mounted = axum::Router::new().nest_service("/app", app()).fallback_service(app());
        let server = Server::on(flavour, mounted);
        let mut frames = Frames::open(server.address());
        let mut stream = 1;
        let mut ask = |scheme: &str, authority: Option<&str>, hosts: &[&str]| {
            let [at_the_root, below_a_nest] = ["/", "/app/x"].map(|path| {
                let mut fields = vec![(":method", "GET"), (":scheme", scheme), (":path", path)];
                fields.extend(authority.map(|authority| (":authority", authority)));
                fields.extend(hosts.iter().map(|host| ("host", *host)));
                frames.fields(END_STREAM, stream, &fields);
                stream += 2;
                frames.answer(stream - 2)
            });
            assert_eq!(at_the_root, below_a_nest);
            at_the_root
        };
        let same = [
            ("http", "a.example", "a.example"),
            ("http", "a.example", "A.Example"),
            ("http", "a.example", "a.example:80"),
            ("http", "a.example:80", "a.example"),
            ("http", "a.example:", "a.example"),
            ("https", "a.example:443", "a.example"),
            ("http", "a.example:8080", "a.example:8080"),
            ("http", "[::1]:80", "[::1]"),
        ];
        for (scheme, authority, host) in same {
            let seen = Answer::Whole(200, authority.to_owned());
            assert_eq!(ask(scheme, Some(authority), &[host]), seen, "{scheme} {authority} {host}");
        }
        let others = [
            ("http", "a.example", "b.example"),
            ("http", "a.example", "a.example.b"),
            ("http", "a.example", "a.example:81"),
            ("http", "a.example:81", "a.example"),
            ("http", "a.example", "a.example:443"),
            ("https", "a.example", "a.example:80"),
            ("https", "a.example:443", "a.example:444"),
            ("http", "[::1]", "[::2]"),
            ("http", "a.example", ""),
            ("http", "a.example", "user@a.example"),
            ("http", "a.example", "a.example:80x"),
        ];
        for (scheme, authority, host) in others {
            assert_eq!(ask(scheme, Some(authority), &[host]), refused, "{scheme} {authority} {host}");
        }
        for authority in
            ["a.example:x", "a.example:65536", "[zz]", "user@a.example", "user:secret@a.example:80", "@a.example"]
        {
            assert_eq!(ask("http", Some(authority), &[]), refused, "{authority}");
            assert_eq!(ask("http", None, &[authority]), refused, "{authority}");
        }
        // Either one alone is the host. Two `Host` fields are refused, even if they are equal.
        assert_eq!(ask("http", None, &["a.example"]), Answer::Whole(200, String::from("a.example")));
        assert_eq!(ask("http", Some("a.example"), &[]), Answer::Whole(200, String::from("a.example")));
        assert_eq!(ask("http", Some("a.example"), &["a.example", "a.example"]), refused);
    }
}

/// SEC-04, ENV-12: lengths that contradict each other are refused, as on HTTP/1 (RFC 9110 §8.6), whichever comes first
/// and is that of the body; here by h2, which resets the stream. Equal ones are one length.
#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let app = answer_fn(|environ| {
        let length = environ.get("CONTENT_LENGTH").unwrap_or("-").to_owned();
        Ok([length.into_bytes(), environ.input().read_all()?])
    });
    let server = Server::of(app);
    let ask = |lengths: &[&str], body: &[u8]| {
        let mut frames = Frames::open(server.address());
        let mut head = vec![(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")];
        head.extend(lengths.iter().map(|length| ("content-length", *length)));
        let end = if body.is_empty() { END_STREAM } else { 0 };
        frames.fields(end, 1, &head);
        if !body.is_empty() {
            frames.send(DATA, END_STREAM, 1, body);
        }
        frames.answer(1)
    };
    assert_eq!(ask(&["4"], b"body"), Answer::Whole(200, String::from("4body")));
    assert_eq!(ask(&["4", "4"], b"body"), Answer::Whole(200, String::from("4body")));
    assert_eq!(ask(&["0", "0"], b""), Answer::Whole(200, String::from("0")));
    let contradictions =
        [["4", "5"], ["5", "4"], ["4", "0"], ["0", "4"], ["4", "x"], ["x", "4"], ["4", "4,4"], ["4", "-4"]];
    for lengths in contradictions {
        assert_eq!(ask(&lengths, b"body"), Answer::Reset(1), "{lengths:?}");
    }
    assert_eq!(ask(&["4", "4", "5"], b"body"), Answer::Reset(1));
    assert_eq!(ask(&["4,4"], b"body"), Answer::Reset(1));
}

/// SEC-03: a pseudo-header in trailers makes a request malformed (RFC 9113 §8.1). The h2 library drops a known
/// pseudo-header, and resets the stream if a pseudo-header follows a field; in neither case does it reach an
/// application.
#[test]
fn a_pseudo_header_in_trailers_reaches_no_application() {
    let app = answer_fn(|environ| {
        let mut body = environ.input().read_all()?;
        let trailers = environ.input().trailers().map(|fields| format!("{fields:?}")).unwrap_or_default();
        body.extend(format!(" {} {} {trailers}", environ.method(), environ.path_info()).into_bytes());
        Ok([body])
    });
    let server = Server::of(app);
    let ask = |trailers: &[(&str, &str)]| {
        let mut frames = Frames::open(server.address());
        let head = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a.example")];
        frames.fields(0, 1, &head);
        frames.send(DATA, 0, 1, b"body");
        frames.fields(END_STREAM, 1, trailers);
        frames.answer(1)
    };
    let whole = |trailers: &str| Answer::Whole(200, format!("body POST /x {trailers}"));
    assert_eq!(ask(&[("x-sum", "1")]), whole("{\"x-sum\": \"1\"}"));
    assert_eq!(ask(&[(":path", "/evil"), ("x-sum", "1")]), whole("{\"x-sum\": \"1\"}"));
    assert_eq!(
        ask(&[(":method", "DELETE"), (":authority", "evil"), (":scheme", "x"), (":status", "200")]),
        whole("{}")
    );
    for malformed in
        [&[("x-sum", "1"), (":path", "/evil")][..], &[(":path", "/a"), (":path", "/b")], &[(":other", "1")]]
    {
        let answer = ask(malformed);
        assert!(matches!(answer, Answer::Reset(1) | Answer::GoAway(1 | 9)), "{malformed:?}: {answer:?}");
    }
}
