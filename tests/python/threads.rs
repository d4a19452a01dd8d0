//! The thread that a request runs on, and the state that Python keeps for this thread.

use gateway::testing::{Client, Inline};
use gateway::{Gateway, python as py};
use gateway_tests::Server;

use crate::support::{answering, python};

fn serve(source: &str, threads: usize) -> Server {
    let pool = py::pool().threads(threads).name("serpent").build().unwrap();
    Server::of(Gateway::new(python(source)).pool(&pool))
}

/// PY-12: a pool thread has the same identity in Python for all its requests.
#[test]
fn what_a_thread_keeps_lasts_from_request_to_request() {
    let server = serve(
        "
import threading
local = threading.local()
def app(environ, start_response):
    start_response('200 OK', [])
    local.count = getattr(local, 'count', 0) + 1
    return [repr((local.count, threading.current_thread() is getattr(local, 'thread', None))).encode()
            + bytes(bool(setattr(local, 'thread', threading.current_thread())))]
",
        1,
    );
    assert_eq!(server.get("/").text(), "(1, False)");
    assert_eq!(server.get("/").text(), "(2, True)");
    assert_eq!(server.get("/").text(), "(3, True)");
}

/// PY-12.
#[test]
fn a_thread_has_the_same_name_for_python() {
    let server = serve(
        "
import threading
def app(environ, start_response):
    start_response('200 OK', [])
    return [threading.current_thread().name.encode()]
",
        1,
    );
    assert_eq!(server.get("/").text(), "serpent-1");
}

/// PY-13: the threads that an application starts are no daemons, as under `python3` and gunicorn, on a thread of the
/// pool and on any other. The thread of the request itself is one for others: code that joins all threads that are no
/// daemons leaves it alone.
#[test]
fn what_an_application_starts_is_no_daemon() {
    let source = "
import threading
def app(environ, start_response):
    start_response('200 OK', [])
    seen = []
    request = threading.current_thread()
    started = threading.Thread(target=lambda: seen.extend([threading.current_thread().daemon, request.daemon]))
    started.start()
    started.join(60)
    return [repr((started.daemon, seen)).encode()]
";
    let expected = "(False, [False, True])";
    let server = serve(source, 1);
    for _ in 0..2 {
        assert_eq!(server.get("/").text(), expected);
    }
    // This thread may be Python's main thread, which started the interpreter.
    let client = Client::of(Gateway::new(python(source)).executor(Inline::new()));
    let ask = || client.get("/").text();
    assert_eq!(std::thread::scope(|scope| scope.spawn(ask).join().unwrap()), expected);
}

/// PY-13: the same holds for what a module starts, whatever thread loads it.
#[test]
fn what_a_module_starts_is_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let source = "
import threading
started = threading.Thread(target=print)
def app(environ, start_response):
    start_response('200 OK', [])
    return [repr(started.daemon).encode()]
";
    std::fs::write(folder.path().join("starts_a_thread.py"), source).unwrap();
    let load = || py::Loader::new().path(folder.path()).load("starts_a_thread:app").unwrap();
    let app = std::thread::scope(|scope| scope.spawn(load).join().unwrap());
    assert_eq!(Client::new(app).get("/").text(), "False");
}

/// PY-11: context variables of one request are not visible in the next request, and are visible in all steps of the
/// same.
#[test]
fn each_request_has_a_context_of_its_own() {
    let server = serve(
        "
import contextvars
loaded = contextvars.ContextVar('loaded')
loaded.set('at import')
name = contextvars.ContextVar('name', default='nobody')
def app(environ, start_response):
    start_response('200 OK', [])
    yield name.get().encode()
    name.set('somebody')
    yield b' ' + name.get().encode()
    yield b' ' + loaded.get().encode()
",
        1,
    );
    for _ in 0..2 {
        assert_eq!(server.get("/").text(), "nobody somebody at import");
    }
}

/// PY-04: while one request waits, in Python or for its body, other requests run.
#[test]
fn a_request_that_waits_does_not_hold_the_interpreter() {
    let pool = py::pool().threads(2).build().unwrap();
    let server = Server::of(Gateway::new(answering("[environ['wsgi.input'].read()]")).pool(&pool));
    let mut waits = server.connect();
    waits.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    // The application has begun to read.
    assert_eq!(waits.head().0, "HTTP/1.1 100 Continue");
    for _ in 0..3 {
        assert_eq!(server.get("/").text(), "");
    }
    waits.send("body");
    assert_eq!(waits.reply().text(), "body");
}

/// The objects of a request are inert on any other thread, and after the end of the request.
#[test]
fn handles_are_inert_elsewhere_and_later() {
    let server = serve(
        "
import threading
kept = {}
def outcome(call):
    try:
        return repr(call())
    except BaseException as error:
        return type(error).__name__
def elsewhere(call):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(outcome(call)))
    thread.start()
    thread.join(60)
    return seen[0]
def app(environ, start_response):
    calls = [
        lambda: kept['start_response']('201 Created', []),
        lambda: kept['write'](b'x'),
        lambda: kept['environ']['gateway.wait_for_disconnect'](),
    ]
    if environ['PATH_INFO'] == '/keep':
        kept.update(start_response=start_response, write=start_response('200 OK', []), environ=environ)
        return [' '.join(elsewhere(call) for call in calls).encode()]
    start_response('200 OK', [])
    seen = [outcome(call) for call in calls] + [elsewhere(call) for call in calls]
    seen.append(outcome(lambda: kept['environ']['wsgi.input'].read()))
    return [' '.join(seen).encode()]
",
        1,
    );
    assert_eq!(server.get("/keep").text(), ["RuntimeError"; 3].join(" "));
    assert_eq!(server.get("/").text(), [["RuntimeError"; 6].join(" "), "b''".to_owned()].join(" "));
}
