//! What an application keeps of a request, and what a thread keeps for its next one.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use gateway::testing::Client;
use gateway::{Forwarded, Gateway, LocalAddr, Spool, python as py};
use gateway_tests::{Server, Sink, until};

use crate::support::python;

fn serve(source: &str) -> Server {
    let pool = py::pool().threads(1).build().unwrap();
    Server::of(Gateway::new(python(source)).pool(&pool))
}

/// IN-24: an object that the application keeps beyond its request does not act on later requests, whichever others it
/// keeps.
#[test]
fn a_kept_object_never_acts_on_a_later_request() {
    let server = serve(
        "
kept = {}
def outcome(name, call):
    try:
        return f'{name} {call()!r}'
    except BaseException as error:
        return f'{name} {type(error).__name__}'
def use(name, thing):
    if name == 'start_response':
        return outcome(name, lambda: thing('201 Created', []))
    if name == 'write':
        return outcome(name, lambda: thing(b'x'))
    if name == 'input':
        return outcome(name, lambda: thing.read())
    if name == 'wait':
        return outcome(name, lambda: thing())
    return use('input', thing['wsgi.input']) + ', ' + use('wait', thing['gateway.wait_for_disconnect'])
def app(environ, start_response):
    write = start_response('200 OK', [])
    new = dict(start_response=start_response, write=write, input=environ['wsgi.input'],
               wait=environ['gateway.wait_for_disconnect'], environ=environ)
    if environ['PATH_INFO'] == '/use':
        used = [use(name, thing) for name, thing in kept.items()]
        used += [f'{name} is new' for name in kept if new[name] is not kept[name]]
        return [', '.join(used).encode()]
    kept.clear()
    name = environ['PATH_INFO'][1:]
    if name in new:
        kept[name] = new[name]
    return [environ['wsgi.input'].read()]
",
    );
    let post = |path: &str| {
        let mut connection = server.connect();
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
        connection.reply().text()
    };
    for (name, used) in [
        ("start_response", "start_response RuntimeError, start_response is new"),
        ("write", "write RuntimeError, write is new"),
        ("input", "input b'', input is new"),
        ("wait", "wait RuntimeError, wait is new"),
        ("environ", "input b'', wait RuntimeError, environ is new"),
    ] {
        // A request before that keeps nothing, so that its objects may be used again.
        for path in ["/nothing", "/nothing", &format!("/{name}")] {
            assert_eq!(post(path), "body", "{name}");
        }
        for later in 1..=3 {
            assert_eq!(post("/use"), used, "{name}, {later} requests later");
        }
    }
}

/// A line that a request has begun ends with the request, unless the application keeps the object. Text that is written
/// later belongs to the request whose `wsgi.errors` it is.
#[test]
fn the_errors_of_a_request_stay_its_own() {
    let lines = Sink::default();
    let pool = py::pool().threads(1).build().unwrap();
    let app = python(
        "
kept = []
def app(environ, start_response):
    start_response('200 OK', [])
    errors, path = environ['wsgi.errors'], environ['PATH_INFO']
    if path == '/keeps':
        kept.append(errors)
    for log in kept:
        print('kept, in', path, file=log)
    print('begun by', path, end='', file=errors)
    return []
",
    );
    let server = Server::of(Gateway::new(app).pool(&pool).error_log(lines.clone()));
    for path in ["/first", "/second", "/keeps", "/later"] {
        assert_eq!(server.get(path).status(), 200);
    }
    let log = lines.text();
    let expected = [
        "begun by /first",
        "begun by /second",
        "kept, in /keeps",
        // Its line is not at its end yet.
        "begun by /keepskept, in /later",
        "begun by /later",
    ];
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
}

/// The body of a request that has ended takes no room, although its thread waits for another request.
#[test]
fn the_thread_keeps_no_body() {
    let spool = Spool::builder().memory(0).total(1000).build().unwrap();
    let pool = py::pool().threads(1).build().unwrap();
    let app = python(
        "
def app(environ, start_response):
    start_response('200 OK', [])
    return [environ['wsgi.input'].read(1)]
",
    );
    let server = Server::of(Gateway::new(app).pool(&pool).spool(&spool));
    for _ in 0..5 {
        let mut connection = server.connect();
        connection.send(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{}", "x".repeat(900)));
        let reply = connection.reply();
        assert_eq!((reply.status(), &*reply.text()), (200, "x"));
    }
}

/// The same while a response is sent: the body ends when the application returns, unless the iterable keeps it.
#[test]
fn a_response_that_is_sent_keeps_no_body() {
    let spool = Spool::builder().memory(0).total(1000).build().unwrap();
    let pool = py::pool().threads(1).build().unwrap();
    let app = python(
        "
class Parts:
    def __init__(self, parts):
        self.parts = iter(parts)
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.parts)
def app(environ, start_response):
    start_response('200 OK', [])
    parts = [environ['wsgi.input'].read(1), b'y' * (64 << 20)]
    return {'/iterator': iter, '/large': tuple, '/object': Parts}[environ['PATH_INFO']](parts)
",
    );
    let server = Server::of(Gateway::new(app).pool(&pool).spool(&spool));
    for path in ["/iterator", "/large", "/object"] {
        let mut connection = server.connect();
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{}", "x".repeat(900)));
        // The head is here, and the client takes no more: the application's thread is held.
        assert!(connection.head().0.contains("200"), "{path}");
        until("the body has left the spool", || spool.taken() == 0);
    }
}

/// Whatever ends a request, a later one on its thread has objects that work, and those that were kept do not act on it.
#[test]
fn a_request_that_ends_in_any_way_leaves_the_next_one_its_own_objects() {
    let server = serve(
        "
kept = []
class Raises:
    def __iter__(self):
        return iter([b'listed'])
    def close(self):
        raise OSError('close')
def generate(environ, start_response):
    kept.append(start_response)
    yield environ['wsgi.input'].read()
def late(environ, start_response):
    yield start_response('200 OK', []) or environ['wsgi.input'].read()
def nested(environ, start_response):
    inner = []
    app({**environ, 'PATH_INFO': '/listed'}, lambda *arguments: inner.append(arguments))
    start_response(*inner[0])
    return [environ['wsgi.input'].read()]
def app(environ, start_response):
    path, body = environ['PATH_INFO'], environ['wsgi.input']
    if path == '/raises':
        kept.append(body)
        raise ValueError(path)
    if path == '/nested':
        return nested(environ, start_response)
    if path == '/late':
        return late(environ, start_response)
    start_response('200 OK', [])
    if path == '/closes':
        return Raises()
    if path == '/generates':
        return generate(environ, start_response)
    acted = 0
    for thing in kept:
        try:
            acted += bool(thing.read() if hasattr(thing, 'read') else thing('201 Created', []))
        except Exception:
            pass
    return [body.read() + b' %d' % acted]
",
    );
    let post = |path: &str| {
        let mut connection = server.connect();
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
        connection
    };
    for path in ["/raises", "/closes", "/generates", "/late", "/nested"] {
        for _ in 0..2 {
            let _ = post(path).head_reply_or_reset();
            assert_eq!(post("/listed").reply().text(), "body 0", "{path}");
        }
    }
}

/// PY-11: a request begins with the context of the load, also when that is empty and an earlier request has set
/// variables or keeps a token.
#[test]
fn a_context_of_a_request_has_nothing_of_another() {
    let server = serve(
        "
import contextvars
name = contextvars.ContextVar('name', default='nobody')
tokens = []
contexts = []
def reset():
    try:
        name.reset(tokens.pop())
        return 'reset'
    except ValueError:
        return 'another context'
def app(environ, start_response):
    start_response('200 OK', [])
    path, before = environ['PATH_INFO'], name.get()
    if path == '/sets':
        name.set(path)
    if path == '/resets':
        name.reset(name.set(path))
    if path == '/keeps':
        first = name.set(path)
        tokens.append(name.set('again'))
        # Nothing is set any more.
        name.reset(first)
    if path == '/copies':
        contexts.append(contextvars.copy_context())
        contexts[-1].run(name.set, path)
    after = reset() if path == '/later' else name.get()
    return [f'{before} {after}'.encode()]
",
    );
    for (path, names) in [
        ("/", "nobody nobody"),
        ("/sets", "nobody /sets"),
        ("/", "nobody nobody"),
        ("/resets", "nobody nobody"),
        ("/copies", "nobody nobody"),
        ("/keeps", "nobody nobody"),
        ("/later", "nobody another context"),
        ("/", "nobody nobody"),
    ] {
        assert_eq!(server.get(path).text(), names, "{path}");
    }
}

/// ENV-20, ENV-23, ENV-24: the variables of the addresses are those of the request, whichever addresses the last
/// request of the thread had, and whatever decided them.
#[test]
fn the_addresses_are_those_of_the_request() {
    let pool = py::pool().threads(1).build().unwrap();
    let source = "
KEYS = 'SERVER_NAME', 'SERVER_PORT', 'REMOTE_ADDR', 'REMOTE_PORT'
def app(environ, start_response):
    start_response('200 OK', [])
    return [' '.join(environ.get(key, '-') for key in KEYS).encode()]
";
    let plain = Client::of(Gateway::new(python(source)).pool(&pool));
    let named = Client::of(Gateway::new(python(source)).server_name("a.example").server_port(80).pool(&pool));
    let fixed = Client::of(Gateway::new(python(source)).variable("REMOTE_ADDR", "fixed").pool(&pool));
    let seen = |client: &Client, local: &str, peer: &str, forwarded: Option<Forwarded>| {
        let (local, peer): (SocketAddr, SocketAddr) = (local.parse().unwrap(), peer.parse().unwrap());
        let request = client.request("GET", "/").extension(LocalAddr::Tcp(local)).extension(ConnectInfo(peer));
        let request = if let Some(forwarded) = forwarded { request.extension(forwarded) } else { request };
        request.send().text()
    };
    let ends = ("192.0.2.1:8000", "192.0.2.9:1001");
    let usual = "192.0.2.1 8000 192.0.2.9 1001";
    let mut forwarded = Forwarded::default();
    forwarded.client = Some([203, 0, 113, 5].into());
    for (client, (local, peer), forwarded, expected) in [
        (&plain, ("192.0.2.2:8000", "192.0.2.9:1001"), None, "192.0.2.2 8000 192.0.2.9 1001"),
        (&plain, ("192.0.2.1:8001", "192.0.2.9:1001"), None, "192.0.2.1 8001 192.0.2.9 1001"),
        (&plain, ("192.0.2.1:8000", "192.0.2.8:1001"), None, "192.0.2.1 8000 192.0.2.8 1001"),
        (&plain, ("192.0.2.1:8000", "192.0.2.9:1002"), None, "192.0.2.1 8000 192.0.2.9 1002"),
        (&plain, ("[2001:db8::1]:8000", "[2001:db8::9]:1001"), None, "[2001:db8::1] 8000 2001:db8::9 1001"),
        (&plain, ends, Some(forwarded), "192.0.2.1 8000 203.0.113.5 -"),
        (&named, ends, None, "a.example 80 192.0.2.9 1001"),
        (&fixed, ends, None, "192.0.2.1 8000 fixed 1001"),
    ] {
        for _ in 0..2 {
            assert_eq!(seen(&plain, ends.0, ends.1, None), usual);
        }
        for _ in 0..2 {
            assert_eq!(seen(client, local, peer, forwarded.clone()), expected);
        }
        assert_eq!(seen(&plain, ends.0, ends.1, None), usual);
    }
}
