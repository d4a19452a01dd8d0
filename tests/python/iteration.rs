//! The returned iterable: its iteration, and its close.

use gateway::testing::{Client, Outcome};
use gateway_tests::{Server, capture_log};

use crate::support::{answering, get, python, sent};

/// PY-18, IT-07: a body of one item gets a length; several items are sent unchanged.
#[test]
fn a_list_is_sent_with_its_length() {
    for (returned, text) in [("[b'one']", "one"), ("(b'one', b'', b'two')", "onetwo"), ("[]", ""), ("[b'']", "")] {
        let response = Client::new(answering(returned)).get("/");
        assert_eq!(response.text(), text);
        assert_eq!(response.headers()["content-length"], text.len().to_string(), "{returned}");
    }
}

/// PY-17: a `__len__` of 1 is used if it is correct; a `__len__` that raises is ignored.
#[test]
fn the_length_of_an_iterable_is_asked_for_once() {
    let source = |length: &str| {
        format!(
            "
class Body:
    def __len__(self):
        {length}
    def __iter__(self):
        return iter([b'body'])
def app(environ, start_response):
    start_response('200 OK', [])
    return Body()
"
        )
    };
    assert_eq!(get(&source("return 1")).headers()["content-length"], "4");
    let response = get(&source("raise KeyError"));
    assert_eq!((response.text().as_str(), response.headers().get("content-length")), ("body", None));
    // A wrong `__len__` is detected.
    assert_eq!(get(&source("return 1").replace("[b'body']", "[b'bo', b'dy']")).text(), "body");
}

/// IT-15, IT-16, PY-18.
#[test]
fn what_is_no_list_of_bytes_is_an_error() {
    for returned in ["b'text'", "'text'", "None", "7", "['text']", "[1]", "iter(['text'])"] {
        let (response, log) = capture_log(|| Client::new(answering(returned)).get("/"));
        assert_eq!(response.status(), 500, "{returned}");
        assert!(log[0].text.contains("TypeError"), "{log:?}");
    }
    // The earlier chunk was already sent.
    let response = Client::new(answering("[b'one', 'two', b'three']")).get("/");
    assert_eq!((response.outcome(), sent(&response).as_str()), (Outcome::Aborted, "one"));
}

/// Bodies that record how they end.
const COUNTED: &str = "
events = []
class Body(list):
    def close(self):
        events.append('closed')
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/events':
        start_response('200 OK', [])
        return [' '.join(events).encode()]
    start_response('200 OK', [])
    if path == '/list':
        return Body([b'A', b'B'])
    if path == '/generator':
        return generate()
    return Fails()
def generate():
    try:
        yield b'A' * 100000
        while True:
            yield b'B' * 100000
    except GeneratorExit:
        events.append('exit')
        raise
class Fails:
    def __iter__(self):
        yield b'A'
        raise ValueError('in the middle')
    def close(self):
        events.append('closed')
        raise KeyError('in close')
";

/// PY-08, PY-09, END-01 to END-07.
#[test]
fn what_was_returned_is_closed_once_however_it_ends() {
    let client = Client::new(python(COUNTED));
    assert_eq!(client.get("/list").text(), "AB");
    assert_eq!(client.get("/events").text(), "closed");
    let response = client.request("GET", "/generator").disconnect_after(150_000).send();
    assert_eq!(response.outcome(), Outcome::Disconnected);
    assert_eq!(client.get("/events").text(), "closed exit");
    let (response, log) = capture_log(|| client.get("/fails"));
    assert_eq!((response.outcome(), sent(&response).as_str()), (Outcome::Aborted, "A"));
    let log = &log[0].text;
    assert!(log.contains("in the middle") && log.contains("in close"), "{log}");
    assert_eq!(client.get("/events").text(), "closed exit closed");
}

/// IT-05: each yielded chunk reaches the client before the next one is requested.
#[test]
fn a_generator_streams() {
    let app = python(
        "
import threading
gate = threading.Event()
def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/open':
        gate.set()
        return [b'opened']
    return stream()
def stream():
    yield b'first'
    gate.wait(60)
    yield b'second'
",
    );
    let server = Server::of(app);
    let mut connection = server.ask("/");
    connection.head();
    assert_eq!(connection.chunk(), b"first");
    assert_eq!(server.get("/open").text(), "opened");
    assert_eq!(connection.chunk(), b"second");
}
