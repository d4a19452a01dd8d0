//! `wsgi.input`.

use gateway::testing::Client;
use gateway::{Gateway, python as py};
use gateway_tests::Server;

use crate::support::{answering, python};

/// The value of an expression over `body`, for a request with this body.
fn read(expression: &str, body: &'static str) -> String {
    let app = python(&format!(
        "
def app(environ, start_response):
    body = environ['wsgi.input']
    start_response('200 OK', [])
    return [repr(({expression})).encode()]
"
    ));
    let response = Client::new(app).post("/", body);
    assert_eq!(response.status(), 200, "{expression}");
    response.text()
}

/// PY-10, IN-01 to IN-09.
#[test]
fn the_input_reads_as_a_file_does() {
    let cases = [
        ("body.read()", r"b'one\ntwo\nthree'"),
        ("body.read(None), body.read(-1)", r"(b'one\ntwo\nthree', b'')"),
        ("body.read(-7)", r"b'one\ntwo\nthree'"),
        (
            "body.read(2), body.read(0), body.read(3), body.read(99), body.read(1)",
            r"(b'on', b'', b'e\nt', b'wo\nthree', b'')",
        ),
        (
            "body.readline(), body.readline(2), body.readline(None), body.readline(-1), body.readline()",
            r"(b'one\n', b'tw', b'o\n', b'three', b'')",
        ),
        ("body.readline(0)", "b''"),
        ("body.read1(2), body.read1(0), body.read1(), body.read1()", r"(b'on', b'', b'e\ntwo\nthree', b'')"),
        ("body.readlines()", r"[b'one\n', b'two\n', b'three']"),
        ("body.readlines(1), body.readlines(None)", r"([b'one\n'], [b'two\n', b'three'])"),
        ("body.readlines(5), body.readlines(0)", r"([b'one\n', b'two\n'], [b'three'])"),
        ("list(body)", r"[b'one\n', b'two\n', b'three']"),
        ("next(body), iter(body) is body, body.read()", r"(b'one\n', True, b'two\nthree')"),
        ("type(body.read(1)) is bytes and type(body.readline()) is bytes and type(body.readlines()) is list", "True"),
    ];
    for (expression, value) in cases {
        assert_eq!(read(expression, "one\ntwo\nthree"), value, "{expression}");
    }
    assert_eq!(read("body.read(), body.readline(), list(body)", ""), "(b'', b'', [])");
}

/// IN-26, ENV-12: a spooled body has a length, even if the client has not declared one.
#[test]
fn a_chunked_body_has_a_length_when_the_application_is_called() {
    let app = answering("[repr((environ['CONTENT_LENGTH'], environ['wsgi.input'].read())).encode()]");
    let pool = py::pool().threads(1).build().unwrap();
    let server = Server::of(py::mount(app, &pool).unwrap());
    let reply = server
        .connect()
        .request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(reply.text(), "('5', b'abcde')");
}

/// IN-17 to IN-20: each read of a broken body raises, and the error decides the answer if the application does not.
#[test]
fn a_body_that_cannot_be_read_raises() {
    let app = python(
        "
def app(environ, start_response):
    try:
        environ['wsgi.input'].read()
    except OSError as error:
        first = repr(error)
    try:
        environ['wsgi.input'].read()
    except OSError as error:
        start_response('200 OK', [])
        return [first.encode(), repr(error).encode()]
",
    );
    let text = |app| {
        let gateway = Gateway::new(app).body_limit(3);
        let server = Server::of(gateway);
        server
            .connect()
            .request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
    };
    let reply = text(app);
    let error = "OSError('the request body is larger than the limit of 3 bytes')";
    assert_eq!(reply.text(), format!("{error}{error}"));
    let reply = text(python("def app(environ, start_response): environ['wsgi.input'].read()"));
    assert_eq!(reply.status(), 413);
}
