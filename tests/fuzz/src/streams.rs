//! Any bytes on a connection: the answers do not depend on how the network cuts them, and there are no more answers
//! than requests (HTTP-10, IN-11).
//!
//! Threads: the caller's.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, application_fn};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::server::{App, Pieces, Received, exchange};

/// A stream of parts, most of which are well-formed.
#[derive(Debug, Arbitrary)]
struct Stream {
    parts: Vec<Part>,
    cuts: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
enum Part {
    Get,
    Post(Body),
    Bytes(Vec<u8>),
    Word(u8),
}

#[derive(Debug, Arbitrary)]
enum Body {
    Sized(u8, Vec<u8>),
    Chunked(Vec<Vec<u8>>, u8),
}

/// Text that is near the boundary of two requests.
const WORDS: [&str; 14] = [
    "\r\n",
    "\n",
    "\r",
    "0\r\n\r\n",
    "0\r\nX: 1\r\n\r\n",
    "0\r\nX: 1\n\r\n",
    "5\r\nhello\r\n",
    "5;x=y\r\nhello\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Content-Length: 5\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    " ",
];

/// Ends of a chunked body, some of which are malformed.
const ENDS: [&str; 5] = ["0\r\n\r\n", "0\r\nX: 1\r\n\r\n", "0\r\nX: 1\n\r\n", "0\r\n\n\r\n", ""];

impl Part {
    fn write(&self, stream: &mut Vec<u8>) {
        match self {
            Self::Get => stream.extend(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            Self::Word(at) => stream.extend(WORDS[usize::from(*at) % WORDS.len()].bytes()),
            Self::Bytes(bytes) => stream.extend(bytes),
            Self::Post(Body::Sized(length, bytes)) => {
                stream.extend(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n").bytes());
                let filled = bytes.iter().copied().chain(std::iter::repeat(b'x'));
                stream.extend(filled.take(usize::from(*length)));
            }
            Self::Post(Body::Chunked(chunks, end)) => {
                stream.extend(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    stream.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    stream.extend(chunk);
                    stream.extend(b"\r\n");
                }
                stream.extend(ENDS[usize::from(*end) % ENDS.len()].bytes());
            }
        }
    }
}

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

static APP: LazyLock<App> = LazyLock::new(|| {
    let app = application_fn(|environ: &mut Environ, start_response| {
        let head = format!("{} {} ", environ.method(), environ.uri());
        let body = environ.input().read_all()?;
        start_response("200 OK", &[("Date", "today")])?;
        Ok(Chunks::new([[head.as_bytes(), &*body].concat()]))
    });
    let gateway = Gateway::new(app).executor(Inline::new());
    let counted = gateway.map_request(|request: http::Request<axum::body::Body>| {
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        request
    });
    BoxCloneSyncService::new(counted.map_response(|response| response.map(axum::body::Body::new)))
});

/// The answers of the application, without the dates of hyper, and the number of requests.
///
/// Left out is a refusal at the end: if the client ends its side within a head that cannot be parsed, hyper refuses it
/// only if it has looked at the head before.
fn answers(stream: &[u8], pieces: Pieces) -> (Received, usize) {
    REQUESTS.store(0, Ordering::Relaxed);
    let mut received = exchange(&APP, stream, pieces);
    let lines = received.bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"date:"));
    received.bytes = lines.flatten().copied().collect();
    if let Some(at) = received.bytes.windows(10).position(|part| part == b"HTTP/1.1 4") {
        received.bytes.truncate(at);
    }
    (received, REQUESTS.load(Ordering::Relaxed))
}

pub(crate) fn check(input: &[u8]) {
    let Ok(Stream { parts, cuts }) = Stream::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let mut stream = Vec::new();
    parts.iter().for_each(|part| part.write(&mut stream));
    stream.truncate(4096);
    let (whole, requests) = answers(&stream, Pieces::whole());
    let beginnings = whole.bytes.windows(9).filter(|part| part.starts_with(b"HTTP/1.1 ")).count();
    let bodies = stream.windows(9).filter(|part| part.starts_with(b"HTTP/1.1 ")).count();
    // One more is the refusal of what cannot be parsed; bodies are echoed.
    assert!(beginnings <= 2 * requests + 1 + bodies, "{requests} requests, {beginnings} answers: {parts:?}");
    for lengths in [vec![1], cuts.into_iter().map(usize::from).collect()] {
        let cut = answers(&stream, Pieces::of(lengths));
        let text = |received: &Received| String::from_utf8_lossy(&received.bytes).into_owned();
        assert_eq!((text(&cut.0), cut.1), (text(&whole), requests), "{}", String::from_utf8_lossy(&stream));
    }
}
