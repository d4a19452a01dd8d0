//! The exit of a process with a Python interpreter.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use gateway_tests::{BOUND, Connection, recv, until};
use rustix::process::Signal;

use crate::process::Process;

const STUCK: &str = "
import atexit, threading
atexit.register(print, 'the handlers have run')
print('imported')
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'stuck'
    if environ['PATH_INFO'] == '/computes':
        while True:
            pass
    threading.Event().wait()
";

/// PY-13: requests that never end, whether they wait or compute, do not delay the exit of the process, and the
/// interpreter is not finalised while they run.
#[test]
fn a_process_ends_in_order_with_requests_in_flight() {
    for round in 0..20 {
        let server = Process::start(STUCK, &["--threads", "4", "--grace-ms", "50"]);
        let connections: Vec<Connection> = (0..4)
            .map(|number| {
                let mut connection = Connection::open(server.address);
                let path = if (round + number) % 4 == 0 { "/computes" } else { "/waits" };
                connection.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
                connection.head();
                assert_eq!(connection.chunk(), b"stuck");
                connection
            })
            .collect();
        let (code, said, complained) = server.stop();
        assert_eq!(code, Some(0), "{complained}");
        assert!(said.contains("the handlers have run"), "{said}");
        assert!(!complained.contains("Fatal Python error") && !complained.contains("panicked"), "{complained}");
        drop(connections);
    }
}

/// A thread and two jobs on one thread, each of which waits for a byte from the test.
const WORKS: &str = "
import atexit, concurrent.futures, socket, threading
executor = concurrent.futures.ThreadPoolExecutor(1)
atexit.register(print, 'the handlers run')

def work(name):
    with socket.create_connection(('127.0.0.1', PORT), 60) as test:
        test.sendall(name.ljust(10).encode())
        test.recv(1)
    # One write, whatever the other thread writes.
    print(name + ' is done\\n', end='')

def app(environ, start_response):
    threading.Thread(target=work, args=('the thread',)).start()
    for number in (1, 2):
        executor.submit(work, f'job {number}')
    start_response('200 OK', [])
    return [b'started']
";

/// PY-13: as at the end of `python3`, threads that are not daemons are joined, and the jobs of an executor are done,
/// also those that have not begun. The handlers of `atexit` run after them.
#[test]
fn threads_and_jobs_end_before_the_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = Process::start(&WORKS.replace("PORT", &port), &[]);
    let (accepted, works) = mpsc::channel();
    std::thread::spawn(move || {
        listener.incoming().try_for_each(|work| {
            let (mut work, mut name) = (work.unwrap(), [0; 10]);
            work.set_read_timeout(Some(BOUND)).unwrap();
            work.read_exact(&mut name).unwrap();
            accepted.send((String::from_utf8_lossy(&name).into_owned(), work))
        })
    });
    assert_eq!(server.get("/"), "started");
    let begun = [recv(&works), recv(&works)];
    server.signal(Signal::TERM);
    until("the server has ended", || TcpStream::connect(server.address).is_err());
    // The jobs end first: nothing but the thread is left to wait for.
    let (mut thread, mut job) = match begun {
        [(name, first), (_, second)] if name == "the thread" => (first, second),
        [(_, first), (_, second)] => (second, first),
    };
    job.write_all(b"x").unwrap();
    assert_eq!(job.read(&mut [0]).unwrap(), 0);
    let (_, mut job) = recv(&works);
    job.write_all(b"x").unwrap();
    assert_eq!(job.read(&mut [0]).unwrap(), 0);
    thread.write_all(b"x").unwrap();
    let (status, said, complained) = server.ended();
    assert_eq!(status.code(), Some(0), "{complained}");
    assert!(!complained.contains("ERROR") && !complained.contains("WARN"), "{complained}");
    let mut lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.pop(), Some("the handlers run"), "{said}");
    lines.sort_unstable();
    assert_eq!(lines, ["job 1 is done", "job 2 is done", "the thread is done"]);
}

/// What the process has logged about an end that was cut off.
fn cut_off(source: &str) -> String {
    let server = Process::start(source, &["--exit-ms", "200"]);
    let (code, _, complained) = server.stop();
    assert_eq!(code, Some(0), "{complained}");
    let lines: Vec<&str> = complained.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(lines.len(), 1, "{complained}");
    assert!(lines[0].contains("was cut off") && lines[0].contains("0.2"), "{complained}");
    lines[0].to_owned()
}

/// PY-13: the time for the end is bounded, and the log says what had no time.
#[test]
fn an_end_that_is_cut_off_is_logged() {
    let handler = "
import atexit, threading
def clean_up():
    threading.Event().wait()
atexit.register(clean_up)
app = print
";
    let line = cut_off(handler);
    assert!(line.contains("the handlers of `atexit`, now File") && line.contains("line 4, in clean_up"), "{line}");
    let thread = "
import threading
threading.Thread(target=threading.Event().wait, name='stubborn').start()
app = print
";
    assert!(cut_off(thread).contains("waiting for the threads that are not daemons: stubborn"));
}

/// A handler that never ends.
const HANGS: &str = "
import atexit, threading
def clean_up():
    # One write, whatever the other process writes.
    print('the handlers run\\n', end='', flush=True)
    threading.Event().wait()
atexit.register(clean_up)
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

/// PY-13: a second signal ends the time that Python has for its end, in one process and in those of a parent.
#[test]
fn a_second_signal_ends_the_end_of_python() {
    for flags in [&[][..], &["--processes", "2"]] {
        for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
            let server = Process::start(HANGS, &[&["--exit-ms", "3600000"], flags].concat());
            assert_eq!(server.get("/"), "hello");
            server.signal(first);
            assert_eq!(server.line(), "the handlers run");
            let (status, _, complained) = server.stop_by(second);
            assert_eq!(status.code(), Some(0), "{flags:?} {complained}");
            assert!(complained.contains("a second signal: Python's end was cut off"), "{flags:?} {complained}");
        }
    }
}

/// Prints, and answers in two parts, the second never.
const STREAMS: &str = "
import atexit, threading
def clean_up():
    print('the handlers run', flush=True)
    threading.Event().wait()
atexit.register(clean_up)
def app(environ, start_response):
    start_response('200 OK', [('Content-Length', '10')])
    yield b'first'
    environ['gateway.wait_for_disconnect'](3600)
";

/// PY-13: the same if it comes while the server drains, whose open requests it cuts off.
#[test]
fn a_second_signal_during_the_drain_ends_the_end_of_python() {
    let server = Process::start(STREAMS, &["--stream", "--exit-ms", "3600000"]);
    let mut open = Connection::open(server.address);
    open.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (status, _) = open.head();
    assert!(status.contains("200"), "{status}");
    server.signal(Signal::TERM);
    until("the server drains", || TcpStream::connect(server.address).is_err());
    let (status, said, complained) = server.stop_by(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{complained}");
    assert!(said.contains("the handlers run"), "{said}");
    assert!(complained.contains("a second signal: Python's end was cut off"), "{complained}");
}
