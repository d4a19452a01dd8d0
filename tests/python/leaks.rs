//! A request that has ended leaks nothing.

use gateway_tests::Connection;

use crate::process::Process;

/// The number of rounds, each with all kinds of requests; `GATEWAY_LEAK_ROUNDS` sets it for a long run.
fn rounds() -> usize {
    std::env::var("GATEWAY_LEAK_ROUNDS").map_or(300, |rounds| rounds.parse().expect("a number"))
}

/// PY-07, PY-13: requests of all kinds leak no objects and do not increase the memory, whichever thread they ended on.
#[test]
fn requests_leave_no_objects_behind() {
    let server = Process::start(
        "
import gc, io, sys
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/blocks':
        gc.collect()
        start_response('200 OK', [])
        return [str(sys.getallocatedblocks()).encode()]
    if path == '/plain':
        # No cycle, so the thread keeps the objects of the request.
        start_response('200 OK', [])
        return [environ['wsgi.input'].readline()] if environ['QUERY_STRING'] else iter([environ['wsgi.input'].read()])
    environ['itself'] = environ
    environ['started'] = start_response
    if path == '/raises':
        raise ValueError(environ)
    write = start_response('200 OK', [('X-Header', path)])
    if path == '/writes':
        write(b'written')
    if path == '/wraps':
        # The text is freed, and closes what it wraps; the other one is a part of a cycle.
        io.TextIOWrapper(io.BufferedReader(environ['wsgi.input'])).readline()
        environ['text'] = io.TextIOWrapper(environ['wsgi.input'])
        environ['wsgi.input'].readinto(bytearray(5))
    environ['wsgi.input'].readline()
    return generate(environ) if path == '/generates' else [b'listed']
def generate(environ):
    yield environ['PATH_INFO'].encode()
    yield b'second' * 50000
    if environ['QUERY_STRING']:
        raise KeyError(environ)
",
        &["--threads", "2", "--stream"],
    );
    let ask = |path: &str| {
        let mut connection = Connection::open(server.address);
        connection.send(&format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 19\r\n\r\na body\nof two lines"));
        connection
    };
    let blocks = || ask("/blocks").reply().text().parse::<i64>().expect("a number");
    let requests = |count| {
        for _ in 0..count {
            for path in ["/plain", "/plain?list", "/", "/writes", "/raises", "/wraps", "/generates", "/generates?fail"]
            {
                ask(path).reply();
            }
            // The client disconnects before most of the body was sent.
            ask("/generates").head();
        }
        blocks()
    };
    let (before, memory) = (requests(300), server.peak_memory());
    let after = requests(rounds());
    assert!((after - before).abs() <= 200, "{before} blocks before, {after} after");
    let grown = server.peak_growth(memory);
    println!("blocks: {before} before, {after} after; peak memory: {memory} KiB before, {grown} KiB more after");
    assert!(grown <= 2 << 10, "{grown} KiB more at the peak");
}
