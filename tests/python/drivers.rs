//! Python on the drivers of a pool. The mounts are assumed to be short, so that no test depends on time.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;

use axum::Router;
use gateway::{Gateway, Pool, python as py};
use gateway_tests::{Flavour, Stoppable, until};

use crate::support::python;

/// A server of the application that `source` defines, whose connections its pool drives.
fn serve(source: &str, threads: usize) -> (Stoppable, Pool) {
    let pool = py::pool().threads(threads).name("serpent").build().unwrap();
    let rust = axum::routing::get(|| async { "rust" });
    let router =
        Router::new().route("/rust", rust).fallback_service(Gateway::new(python(source)).pool(&pool).assume_short());
    let serving = pool.clone();
    let server =
        Stoppable::start(Flavour::MultiThread, move |listener| gateway::serve(listener, router).pool(&serving));
    // A mount learns in its first call that it runs Python. Without `assume_short`, none is short before its 64th.
    server.get("/first").reply();
    (server, pool)
}

/// PY-12: the thread that has read a request runs it, with the state that Python keeps for the thread.
#[test]
fn a_short_job_runs_on_the_driver_that_has_read_it() {
    let (server, pool) = serve(
        "
import threading
local = threading.local()
def app(environ, start_response):
    start_response('200 OK', [])
    local.count = getattr(local, 'count', 0) + 1
    return [f'{threading.current_thread().name} {local.count}'.encode()]
",
        2,
    );
    let mut connection = server.connect();
    let (mut counts, mut firsts) = (std::collections::BTreeMap::new(), Vec::new());
    for _ in 0..20 {
        let text = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text();
        let (thread, count) = text.split_once(' ').unwrap();
        assert!(thread.starts_with("serpent-"), "{text}");
        let count = count.parse::<u32>().unwrap();
        match counts.insert(thread.to_owned(), count) {
            Some(last) => assert_eq!(count, last + 1, "{text}"),
            None => firsts.push(count),
        }
    }
    // One thread may have run the first call of the mount.
    firsts.sort_unstable();
    assert!(firsts.iter().rev().skip(1).all(|count| *count == 1) && firsts.last() <= Some(&2), "{firsts:?}");
    // A driver that has no processor for a millisecond gives its job to the queue.
    assert!(pool.stats().driven > 0, "no job runs where it was read");
}

/// PY-04: a driver does not wait for the interpreter's lock: its job goes to the queue.
#[test]
fn a_job_goes_to_the_queue_while_another_runs_python() {
    let (mut waits, waiting) = std::io::pipe().unwrap();
    let (server, pool) = serve(
        &format!(
            "
import os, threading
released = threading.Event()
def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/waits':
        os.write({}, b'.')
        released.wait()
    if environ['PATH_INFO'] == '/releases':
        released.set()
    return [environ['PATH_INFO'].encode()]
",
            waiting.as_raw_fd()
        ),
        4,
    );
    let mut held = server.connect();
    held.send("GET /waits HTTP/1.1\r\nHost: h\r\n\r\n");
    waits.read_exact(&mut [0]).unwrap();
    let driven = pool.stats().driven;
    let mut connection = server.connect();
    for _ in 0..10 {
        assert_eq!(connection.request("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/other");
    }
    assert_eq!(pool.stats().driven, driven, "a job was to wait for the lock on a driver");
    assert_eq!(connection.request("GET /releases HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/releases");
    assert_eq!(held.reply().text(), "/waits");
    until("no job runs", || pool.stats().busy == 0);
    // The lock is free again.
    until("a job runs where it was read", || {
        assert_eq!(connection.request("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/other");
        pool.stats().driven > driven
    });
}

/// C code may keep the interpreter's lock. The thread that drives in place of such a job does not wait for it.
#[test]
fn a_job_that_keeps_the_lock_holds_up_no_route_in_rust() {
    let (mut called, calling) = std::io::pipe().unwrap();
    let (held, mut holds) = std::io::pipe().unwrap();
    let (server, pool) = serve(
        &format!(
            "
import ctypes, os
def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/holds':
        os.write({}, b'.')
        # Unlike `CDLL`, it calls without releasing the lock.
        ctypes.PyDLL(None).read({}, ctypes.create_string_buffer(1), 1)
    return [environ['PATH_INFO'].encode()]
",
            calling.as_raw_fd(),
            held.as_raw_fd()
        ),
        4,
    );
    let mut connection = server.connect();
    connection.send("GET /holds HTTP/1.1\r\nHost: h\r\n\r\n");
    called.read_exact(&mut [0]).unwrap();
    for _ in 0..20 {
        assert_eq!(server.get("/rust").reply().text(), "rust");
    }
    holds.write_all(b".").unwrap();
    assert_eq!(connection.reply().text(), "/holds");
    // The thread that drives now runs Python, too, once it is free.
    let mut connection = server.connect();
    let driven = pool.stats().driven;
    until("a job runs where it was read", || {
        assert_eq!(connection.request("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/other");
        pool.stats().driven > driven
    });
}

/// A job that waits for its client has released the lock.
#[test]
fn a_job_that_waits_for_its_client_keeps_no_other_from_the_driver() {
    let (mut waits, waiting) = std::io::pipe().unwrap();
    let (server, pool) = serve(
        &format!(
            "
import os
def app(environ, start_response):
    write = start_response('200 OK', [])
    if environ['PATH_INFO'] == '/reads':
        os.write({}, b'.')
        return [environ['wsgi.input'].read()]
    return [environ['PATH_INFO'].encode()]
",
            waiting.as_raw_fd()
        ),
        4,
    );
    let mut upload = server.connect();
    upload.send("POST /reads HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    waits.read_exact(&mut [0]).unwrap();
    assert_eq!(upload.head().0, "HTTP/1.1 100 Continue");
    let mut connection = server.connect();
    until("a job runs where it was read", || {
        let driven = pool.stats().driven;
        assert_eq!(connection.request("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/other");
        pool.stats().driven > driven
    });
    upload.send("body");
    assert_eq!(upload.reply().text(), "body");
}
