//! `wsgi.input`.

use gateway::testing::Client;
use gateway::{Gateway, python as py};
use gateway_tests::Server;

use crate::support::{answering, python};

/// The value of an expression over `body`, for a request with this body.
fn read(expression: &str, body: &'static str) -> String {
    let app = python(&format!(
        "
import array, codecs, csv, io, shutil
def outcome(call):
    try:
        return repr(call())
    except Exception as error:
        return repr(error)
def into(buffer, readinto):
    return readinto(buffer), bytes(buffer)
def app(environ, start_response):
    body, copy = environ['wsgi.input'], io.BytesIO()
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

/// PY-10: the wrappers of Python's `io` work over the input.
#[test]
fn the_wrappers_of_io_read_the_input() {
    let body = "h\u{e9}\r\n\u{2603}\nthree";
    let cases = [
        ("io.TextIOWrapper(body, 'utf-8').read()", r"'hé\n☃\nthree'"),
        ("io.TextIOWrapper(body, 'utf-8', newline='').readlines()", r"['hé\r\n', '☃\n', 'three']"),
        ("list(io.TextIOWrapper(body, 'utf-8'))", r"['hé\n', '☃\n', 'three']"),
        ("io.BufferedReader(body).read()", r"b'h\xc3\xa9\r\n\xe2\x98\x83\nthree'"),
        ("io.BufferedReader(body, 3).peek(1)[:1]", "b'h'"),
        ("io.BufferedReader(body, 3).readlines()", r"[b'h\xc3\xa9\r\n', b'\xe2\x98\x83\n', b'three']"),
        ("io.TextIOWrapper(io.BufferedReader(body), 'utf-8').readline()", r"'hé\n'"),
        ("list(csv.reader(codecs.getreader('utf-8')(body)))", "[['hé'], ['☃'], ['three']]"),
        ("shutil.copyfileobj(body, copy), copy.getvalue()", r"(None, b'h\xc3\xa9\r\n\xe2\x98\x83\nthree')"),
    ];
    for (expression, value) in cases {
        assert_eq!(read(expression, body), value, "{expression}");
    }
}

/// PY-10, IN-15: a wrapper does not wait for more than has arrived, so that a dialogue is possible.
#[test]
fn a_wrapper_reads_a_body_that_streams_as_it_arrives() {
    let app = python(
        "
import io
def app(environ, start_response):
    start_response('200 OK', [])
    lines = io.BufferedReader(environ['wsgi.input'])
    yield lines.readline()
    yield io.TextIOWrapper(lines).readline().encode()
",
    );
    let pool = py::pool().threads(2).build().unwrap();
    let server = Server::of(Gateway::new(app).pool(&pool).read_ahead(0));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send_chunk(b"one\n");
    connection.head();
    assert_eq!(connection.chunk(), b"one\n");
    connection.send_chunk(b"two\n");
    assert_eq!(connection.chunk(), b"two\n");
}

/// IN-28: a wrapper that is closed, or freed, closes nothing: the application reads on behind it.
#[test]
fn closing_a_wrapper_does_not_close_the_input() {
    let cases = [
        ("body.close(), body.closed, body.read(3)", "(None, False, b'one')"),
        ("io.TextIOWrapper(body).close(), body.read()", r"(None, b'one\ntwo\nthree')"),
        ("io.BufferedReader(body, 4).readline(), body.read()", r"(b'one\n', b'two\nthree')"),
        ("body.__enter__() is body, body.__exit__(None, None, None), body.read(3)", "(True, None, b'one')"),
    ];
    for (expression, value) in cases {
        assert_eq!(read(expression, "one\ntwo\nthree"), value, "{expression}");
    }
}

/// PY-10: a file of this kind says what it cannot do, and raises the error of `io` for it.
#[test]
fn the_input_is_a_readable_file_that_cannot_seek_or_write() {
    let asked = "body.readable(), body.writable(), body.seekable(), body.isatty(), body.closed, body.flush()";
    assert_eq!(read(asked, ""), "(True, False, False, False, False, None)");
    for call in
        ["seek(0)", "seek(0, 2)", "tell()", "truncate(0)", "write(b'')", "writelines([])", "fileno()", "detach()"]
    {
        let name = call.split('(').next().unwrap();
        let raised = read(&format!("outcome(lambda: body.{call}), body.read()"), "abc");
        assert!(raised.contains(&format!("UnsupportedOperation('{name}: a request body ")), "{raised}");
        assert!(raised.ends_with(", b'abc')"), "{raised}");
    }
}

/// PY-10, PY-05: `readinto` takes no more than the buffer holds, and nothing if the buffer cannot be written.
#[test]
fn the_input_reads_into_buffers() {
    let cases = [
        (
            "into(bytearray(2), body.readinto), into(bytearray(7), body.readinto1)",
            r"((2, b'on'), (6, b'e\ntwo\n\x00'))",
        ),
        (
            "into(bytearray(0), body.readinto), into(memoryview(bytearray(3))[1:], body.readinto)",
            "((0, b''), (2, b'on'))",
        ),
        ("into(array.array('H', [0, 0]), body.readinto)", r"(4, b'one\n')"),
        ("outcome(lambda: body.readinto(b'xx'))[:9], body.read(3)", "('TypeError', b'one')"),
        ("outcome(lambda: body.readinto('xx'))[:9], body.read(3)", "('TypeError', b'one')"),
        ("body.read(), into(bytearray(2), body.readinto)", r"(b'one\ntwo\n', (0, b'\x00\x00'))"),
        ("body.readall(), body.readall()", r"(b'one\ntwo\n', b'')"),
    ];
    for (expression, value) in cases {
        assert_eq!(read(expression, "one\ntwo\n"), value, "{expression}");
    }
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

/// HTTP-05: an application refuses a body that its client has not sent, and asks for it by a read.
#[test]
fn a_refusal_comes_before_the_body_is_sent() {
    let app = python(
        "
def app(environ, start_response):
    if 'HTTP_AUTHORIZATION' not in environ:
        start_response('401 Unauthorized', [])
        return [b'no']
    start_response('200 OK', [])
    body = environ['wsgi.input']
    return [repr((environ['CONTENT_LENGTH'], body.read(2), body.read())).encode()]
",
    );
    let pool = py::pool().threads(2).build().unwrap();
    let server = Server::of(py::mount(app, &pool).unwrap());
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n";
    let mut accepted = server.connect();
    accepted.send(&format!("{head}Authorization: x\r\n\r\n"));
    assert_eq!(accepted.head().0, "HTTP/1.1 100 Continue");
    accepted.send("hello");
    assert_eq!(accepted.reply().text(), "('5', b'he', b'llo')");
    let mut refused = server.connect();
    assert_eq!(refused.request(&format!("{head}\r\n")).status(), 401);
    assert!(refused.is_closed());
}

/// IN-20: a body may be as large as the spool; the answer to a larger one names the limit.
#[test]
fn the_spool_is_the_limit_of_a_body() {
    let app = answering("[str(len(environ['wsgi.input'].read())).encode()]");
    let pool = py::pool().threads(1).build().unwrap();
    let server = Server::of(py::mount(app, &pool).unwrap());
    let mut connection = server.connect();
    let head = |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    connection.send(&head(17 << 20));
    connection.send_bytes(&vec![b'x'; 17 << 20]);
    assert_eq!(connection.reply().text(), "17825792");
    let reply = connection.request(&head((1 << 30) + 1));
    let text = "Payload Too Large: the limit is 1073741824 bytes\n";
    assert_eq!((reply.status(), reply.text().as_str()), (413, text));
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
