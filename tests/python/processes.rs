//! Several processes on one socket.

use std::collections::BTreeSet;
use std::path::Path;

use gateway_tests::{Connection, Ending, until, wait_for};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::process::{Process, command};

/// Answers with its process id; `/slow` answers in two parts, the second when the file `go` is there, and `/die` ends
/// the process.
const APP: &str = "
import os, select
def app(environ, start_response):
    if environ['PATH_INFO'] == '/die':
        os._exit(7)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    yield str(os.getpid()).encode()
    if environ['PATH_INFO'] == '/slow':
        while not os.path.exists('go'):
            select.select([], [], [], 0.005)
        yield b' done'
";

/// A folder with the application `served`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("served.py"), APP).unwrap();
    folder
}

fn serve(folder: &Path, processes: &str) -> Process {
    Process::spawn(&mut command(folder, &["served:app", "--port", "0", "--processes", processes]))
}

/// The process that has answered.
fn answering(server: &Process) -> Pid {
    Pid::from_raw(server.get("/").parse().unwrap()).unwrap()
}

/// Waits until this number of processes have answered, none of which may be among `others`.
fn all(server: &Process, count: usize, others: &BTreeSet<i32>) -> BTreeSet<i32> {
    let mut seen = BTreeSet::new();
    until("all processes answer", || {
        let process = answering(server).as_raw_pid();
        assert!(!others.contains(&process), "{process} was replaced, and answers");
        seen.insert(process);
        seen.len() == count
    });
    seen
}

fn is_running(process: i32) -> bool {
    test_kill_process(Pid::from_raw(process).unwrap()).is_ok()
}

/// Begins a request that lasts, and returns it with the process that answers.
fn slow(server: &Process) -> (Connection, i32) {
    let mut connection = Connection::open(server.address);
    connection.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.head();
    let process = String::from_utf8(connection.chunk()).unwrap().parse().unwrap();
    (connection, process)
}

fn finish(mut connection: Connection) {
    assert_eq!(connection.chunk(), b" done");
    assert_eq!(connection.rest_of_chunks(), Ending::Chunked);
}

#[test]
fn all_processes_serve_and_all_drain() {
    let folder = folder();
    let server = serve(folder.path(), "3");
    let processes = all(&server, 3, &BTreeSet::new());
    // Connections, until one is at each process.
    let mut requests = Vec::new();
    until("each process has a request", || {
        requests.push(slow(&server));
        requests.iter().map(|(_, process)| *process).collect::<BTreeSet<_>>() == processes
    });
    server.signal(Signal::TERM);
    until("no process listens", || std::net::TcpStream::connect(server.address).is_err());
    assert!(processes.iter().all(|process| is_running(*process)));
    std::fs::write(folder.path().join("go"), "").unwrap();
    for (connection, _) in requests {
        finish(connection);
    }
    let (code, _, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!processes.iter().any(|process| is_running(*process)));
}

/// ENV-30.
#[test]
fn an_application_knows_whether_other_processes_serve_it() {
    let app = "
def app(environ, start_response):
    start_response('200 OK', [])
    return [repr(environ['wsgi.multiprocess']).encode()]
";
    for (flags, expected) in [
        (&["--processes", "2"][..], "True"),
        (&["--processes", "1"], "False"),
        (&["--reload"], "False"),
        (&[], "False"),
    ] {
        assert_eq!(Process::start(app, flags).get("/"), expected, "{flags:?}");
    }
}

#[test]
fn a_second_signal_ends_the_drain() {
    let folder = folder();
    let server = serve(folder.path(), "2");
    let (mut connection, _) = slow(&server);
    server.signal(Signal::INT);
    until("no process listens", || std::net::TcpStream::connect(server.address).is_err());
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
    assert_ne!(connection.rest_of_chunks(), Ending::Chunked);
}

/// The second time within seconds after a delay; the others serve meanwhile.
#[test]
fn a_process_that_dies_is_replaced() {
    let folder = folder();
    let server = serve(folder.path(), "2");
    let mut processes = all(&server, 2, &BTreeSet::new());
    for round in 1..=3 {
        let mut connection = Connection::open(server.address);
        connection.send("GET /die HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.discard_until_closed();
        let dead = wait_for("the process has died", || processes.iter().copied().find(|process| !is_running(*process)));
        processes.remove(&dead);
        let deaths = || server.log().matches("a worker has died: exit status: 7; another one takes its place").count();
        until("the log tells it", || deaths() == round);
        until("another process answers", || {
            let process = answering(&server).as_raw_pid();
            processes.insert(process);
            processes.len() == 2
        });
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_process_that_is_stopped_drains_and_is_replaced() {
    let folder = folder();
    let server = serve(folder.path(), "1");
    let (connection, process) = slow(&server);
    let mut idle = Connection::open(server.address);
    assert_eq!(idle.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(), process.to_string());
    // A service manager may send it to all processes, more than once.
    for _ in 0..3 {
        kill_process(Pid::from_raw(process).unwrap(), Signal::TERM).unwrap();
    }
    assert!(idle.is_closed());
    std::fs::write(folder.path().join("go"), "").unwrap();
    finish(connection);
    until("the process has ended", || !is_running(process));
    assert_ne!(answering(&server).as_raw_pid(), process);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_hangup_replaces_all_processes_and_loses_no_request() {
    let folder = folder();
    let server = serve(folder.path(), "2");
    let old = all(&server, 2, &BTreeSet::new());
    let (connection, process) = slow(&server);
    server.signal(Signal::HUP);
    until("the other old process has ended", || old.iter().all(|old| *old == process || !is_running(*old)));
    until("a new process answers", || !old.contains(&answering(&server).as_raw_pid()));
    assert!(is_running(process));
    std::fs::write(folder.path().join("go"), "").unwrap();
    finish(connection);
    until("the old processes have ended", || !old.iter().any(|old| is_running(*old)));
    all(&server, 2, &old);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_old_processes_continue_if_the_new_ones_cannot_serve() {
    let folder = folder();
    let server = serve(folder.path(), "2");
    let old = all(&server, 2, &BTreeSet::new());
    std::fs::write(folder.path().join("served.py"), "raise OSError('no database')").unwrap();
    server.signal(Signal::HUP);
    until("the log tells it", || server.log().contains("a new worker cannot serve (exit status: 1)"));
    assert!(server.log().contains("error: cannot import \"served\": OSError: no database\n"), "{}", server.log());
    assert_eq!(all(&server, 2, &BTreeSet::new()), old);
}

#[test]
fn the_processes_end_when_their_parent_is_killed() {
    let folder = folder();
    let server = serve(folder.path(), "2");
    let processes = all(&server, 2, &BTreeSet::new());
    let (connection, _) = slow(&server);
    server.signal(Signal::KILL);
    std::fs::write(folder.path().join("go"), "").unwrap();
    finish(connection);
    until("the processes have ended", || !processes.iter().any(|process| is_running(*process)));
}

/// A worker that does not listen yet does not read what its parent says either.
#[test]
fn a_process_that_hangs_in_an_import_ends_when_its_parent_is_killed() {
    let folder = folder();
    let server = serve(folder.path(), "1");
    let source = "import os, threading\nopen('pid.new', 'w').write(str(os.getpid()))\nos.rename('pid.new', 'pid')\n\
                  threading.Event().wait()\n";
    std::fs::write(folder.path().join("served.py"), source).unwrap();
    server.signal(Signal::HUP);
    let hung = wait_for("the new process hangs", || std::fs::read_to_string(folder.path().join("pid")).ok());
    server.signal(Signal::KILL);
    until("the new process has ended", || !is_running(hung.parse().unwrap()));
}

/// The sockets are the server's: an application, or a process that it starts, would take them for its own.
#[test]
fn an_application_has_no_variables_of_inherited_sockets() {
    let app = "
import os, subprocess, sys
LIST = 'import os; print(sorted(name for name in os.environ if name.startswith(\"LISTEN_\")))'
def app(environ, start_response):
    start_response('200 OK', [])
    return [subprocess.check_output([sys.executable, '-c', LIST]), repr(os.environ.get('LISTEN_FDNAMES')).encode()]
";
    for flags in [&[][..], &["--processes", "1"]] {
        let mut command = crate::process::server("served:app");
        let server = Process::of(app, command.args(flags).env("LISTEN_FDNAMES", "shop"));
        assert_eq!(server.get("/"), "[]\nNone", "{flags:?}");
    }
}
