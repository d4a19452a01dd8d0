//! `close` of the returned iterable, and the steps that do not wait for it.

use gateway::testing::Outcome;
use gateway::{Gateway, python as py};
use gateway_tests::{Server, capture_log};

use crate::support::{get, python};

/// Bodies whose `close` waits until `/release` is requested.
const HELD: &str = "
import threading
held, done, closes = threading.Event(), threading.Event(), []
class Closing:
    def close(self):
        closes.append('begun')
        if not held.wait(30):
            raise TimeoutError('nothing has released it')
        held.clear()
        closes.append('ended')
        done.set()
class List(Closing, list): pass
class Tuple(Closing, tuple): pass
class Wrapped:
    def __init__(self, parts): self.parts = parts
    def __len__(self): return len(self.parts)
    def __iter__(self): return iter(self.parts)
    close = Closing.close
cases = {
    '/list': ([], lambda environ: List([b'hello'])),
    '/tuple': ([], lambda environ: Tuple([b'hello'])),
    '/object': ([], lambda environ: Wrapped([b'hello'])),
    '/declared': ([('Content-Length', '5')], lambda environ: List([b'hello'])),
    '/pieces': ([('Content-Length', '5')], lambda environ: List([b'hel', b'lo'])),
    '/generator': ([('Content-Length', '5')], lambda environ: Generator()),
}
class Generator(Closing):
    def __iter__(self):
        yield b'hel'
        yield b'lo'
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/closes':
        start_response('200 OK', [])
        return [' '.join(closes).encode()]
    if path == '/release':
        held.set()
        assert done.wait(30)
        done.clear()
        start_response('204 No Content', [])
        return []
    headers, body = cases[path]
    start_response('200 OK', headers)
    return body(environ)
";

/// END-07, PY-08: the client receives the whole message before `close` returns.
#[test]
fn a_message_complete_by_its_length_does_not_wait_for_close() {
    let pool = py::pool().threads(2).build().unwrap();
    let server = Server::of(Gateway::new(python(HELD)).pool(&pool));
    let mut connection = server.connect();
    let mut ended = String::new();
    for path in ["/list", "/tuple", "/object", "/declared", "/pieces", "/generator"] {
        for method in ["GET", "HEAD"] {
            connection.send(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let (reply, body) = match method {
                "GET" => (connection.reply(), "hello"),
                _ => (connection.reply_to_head(), ""),
            };
            assert_eq!((reply.status(), &*reply.text()), (200, body), "{method} {path}");
            assert_eq!(reply.header("content-length"), Some("5"), "{method} {path}");
            // The other thread may or may not have begun the close; the close has not ended.
            let closes = server.get("/closes").text();
            assert!(closes == ended || closes == format!("{ended} begun").trim_start(), "{method} {path}: {closes}");
            assert_eq!(server.get("/release").status(), 204);
            ended = format!("{ended} begun ended").trim_start().to_owned();
            assert_eq!(server.get("/closes").text(), ended);
        }
    }
}

/// END-07: a `close` that raises after a complete message is only logged; if it raises before the end of a chunked
/// message, the message is aborted.
#[test]
fn a_close_that_raises_after_a_complete_message_is_only_logged() {
    let source = |parts: &str| {
        format!(
            "
class Body(list):
    def close(self):
        raise KeyError('in close')
def app(environ, start_response):
    start_response('200 OK', [])
    return Body({parts})
"
        )
    };
    let (response, log) = capture_log(|| get(&source("[b'body']")));
    assert_eq!((response.status().as_u16(), response.outcome(), &*response.text()), (200, Outcome::Complete, "body"));
    assert!(log.len() == 1 && log[0].text.contains("after its response was complete"), "{log:?}");
    assert!(log[0].text.contains("in close"), "{log:?}");
    let (response, log) = capture_log(|| get(&source("[b'bo', b'dy']")));
    assert_eq!((response.status().as_u16(), response.outcome()), (200, Outcome::Aborted));
    assert!(log.len() == 1 && log[0].text.contains("was broken off"), "{log:?}");
}
