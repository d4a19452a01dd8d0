//! `wsgi.file_wrapper`.

use std::io::Write as _;

use gateway::testing::Client;
use gateway::{Gateway, python as py};
use gateway_tests::{Ending, Server, capture_log};

use crate::support::python;

/// An application that returns a wrapped file, which the expression `open` opens. The query is the length to declare.
fn app(open: &str) -> py::Callable {
    python(&format!(
        "
import gzip, io, tempfile
def app(environ, start_response):
    path, length = environ['PATH_INFO'], environ['QUERY_STRING']
    start_response('200 OK', [('Content-Length', length)] if length else [])
    return environ['wsgi.file_wrapper']({open}, 1000)
"
    ))
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// FW-01, FW-05, FW-06, FW-08: a regular file of any size is sent from its current position, with its length.
#[test]
fn a_plain_file_is_sent_with_its_length() {
    for size in [10, 500_000] {
        let bytes: Vec<u8> = (0..size).map(|number| b'a' + (number % 26) as u8).collect();
        let file = file(&bytes);
        let pool = py::pool().threads(1).build().unwrap();
        for (open, from) in [("open(path, 'rb')", 0), ("(lambda file: (file.read(3), file)[1])(open(path, 'rb'))", 3)] {
            let gateway = Gateway::new(app(open)).pool(&pool);
            let server = Server::of(gateway);
            let path = file.path().display();
            let reply = server.get(&path.to_string());
            assert_eq!((reply.ending, reply.body), (Ending::Length, bytes[from..].to_vec()));
            let reply = server.get(&format!("{path}?5"));
            assert_eq!((reply.ending, reply.body), (Ending::Length, bytes[from..from + 5].to_vec()));
        }
    }
}

/// FW-03: an object that is not a regular file is iterated over, and the data that it reads is sent.
#[test]
fn what_only_looks_like_a_file_is_read_through_python() {
    let file = file(b"");
    for open in [
        "io.BytesIO(b'body' * 1000)",
        "(lambda raw: (raw.write(gzip.compress(b'body' * 1000)), raw.seek(0), gzip.open(raw))[2])(tempfile.TemporaryFile())",
        "(lambda raw: (raw.write(b'body' * 1000), raw.seek(0), raw)[2])(tempfile.TemporaryFile())",
    ] {
        let response = Client::new(app(open)).get(file.path().to_str().unwrap());
        assert_eq!(response.text(), "body".repeat(1000), "{open}");
    }
}

/// FW-04: the wrapper has a `close` if the file has one, and the server calls it.
#[test]
fn a_file_is_closed_once_it_is_sent() {
    let bytes = file(&[b'x'; 100_000]);
    for open in ["open(path, 'rb')", "io.BytesIO(b'body')"] {
        let app = python(&format!(
            "
import io
files = []
def app(environ, start_response):
    path = environ['PATH_INFO']
    start_response('200 OK', [])
    if path == '/closed':
        return [repr([file.closed for file in files]).encode()]
    files.append({open})
    return environ['wsgi.file_wrapper'](files[-1])
"
        ));
        let client = Client::new(app);
        client.get(bytes.path().to_str().unwrap());
        assert_eq!(client.get("/closed").text(), "[True]");
    }
    let response = Client::new(python(
        "
class Plain:
    parts = [b'a', b'b', b'']
    def read(self, size):
        return self.parts.pop(0)
def app(environ, start_response):
    start_response('200 OK', [])
    wrapped = environ['wsgi.file_wrapper'](Plain())
    assert not hasattr(wrapped, 'close') and not hasattr(wrapped, 'read')
    return wrapped
",
    ))
    .get("/");
    assert_eq!(response.text(), "ab");
}

/// FW-03, IT-15.
#[test]
fn a_file_of_text_is_an_error() {
    let text = file(b"text");
    let (response, log) = capture_log(|| Client::new(app("open(path)")).get(text.path().to_str().unwrap()));
    assert_eq!(response.status(), 500);
    assert!(log[0].text.contains("chunks are bytes"), "{log:?}");
}
