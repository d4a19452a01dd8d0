//! The Unix socket of the server, and sockets that another process has opened.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use gateway_tests::{run, until};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;

use crate::process::{Process, command};

/// `/slow` answers in two parts; the second comes when the file `go` is there.
const APP: &str = "
import os, select
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'first '
    if environ['PATH_INFO'] == '/slow':
        while not os.path.exists('go'):
            select.select([], [], [], 0.005)
    yield environ['wsgi.url_scheme'].encode()
";

/// A folder with the application `served`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("served.py"), APP).unwrap();
    folder
}

fn serve(folder: &Path, flags: &[&str]) -> Process {
    Process::spawn(&mut command(folder, &[&["served:app", "--uds", "socket"], flags].concat()))
}

/// Sends a request to the socket of a folder.
fn send(folder: &Path, target: &str) -> UnixStream {
    let mut stream = UnixStream::connect(folder.join("socket")).unwrap();
    stream.set_read_timeout(Some(gateway_tests::BOUND)).unwrap();
    let headers = "Host: a\r\nX-Forwarded-Proto: https\r\nConnection: close";
    write!(stream, "GET {target} HTTP/1.1\r\n{headers}\r\n\r\n").unwrap();
    stream
}

fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_unix_socket_has_the_mode_of_the_option_and_is_removed_at_the_end() {
    for processes in [&[][..], &["--processes", "2"]] {
        let folder = folder();
        let socket = folder.path().join("socket");
        let server = serve(folder.path(), &[&["--uds-mode", "620"], processes].concat());
        assert_eq!(mode(&socket), 0o620);
        let reply = rest(send(folder.path(), "/"));
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("http\r\n"), "{reply}");
        assert_eq!(server.stop().0, Some(0));
        assert!(!socket.exists());
    }
}

#[test]
fn the_scheme_of_a_proxy_on_a_unix_socket_is_used_if_it_is_trusted() {
    let folder = folder();
    let _server = serve(folder.path(), &["--proxy", "unix"]);
    let reply = rest(send(folder.path(), "/"));
    assert!(reply.contains("https\r\n"), "{reply}");
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_replaced_and_that_of_a_running_one_is_not() {
    let folder = folder();
    let server = serve(folder.path(), &[]);
    let arguments = ["served:app", "--uds", "socket"];
    let (status, _, complained) = run(&mut command(folder.path(), &arguments));
    assert_eq!(status.code(), Some(1));
    assert_eq!(complained, "error: cannot listen on unix:socket: Address already in use (os error 98)\n");
    server.signal(Signal::KILL);
    server.end();
    assert!(folder.path().join("socket").exists());
    let _server = serve(folder.path(), &[]);
    assert!(rest(send(folder.path(), "/")).ends_with("http\r\n0\r\n\r\n"));
}

/// A server that drains does not listen any more, so that its successor may take the path.
#[test]
fn a_server_that_ends_leaves_the_socket_of_its_successor() {
    let folder = folder();
    let first = serve(folder.path(), &[]);
    let slow = send(folder.path(), "/slow");
    let mut begun = [0; 12];
    (&slow).read_exact(&mut begun).unwrap();
    first.signal(Signal::TERM);
    until("the first server does not listen", || UnixStream::connect(folder.path().join("socket")).is_err());
    let _second = serve(folder.path(), &[]);
    fs::write(folder.path().join("go"), "").unwrap();
    assert!(rest(slow).ends_with("http\r\n0\r\n\r\n"));
    assert_eq!(first.end().0, Some(0));
    assert!(rest(send(folder.path(), "/")).ends_with("http\r\n0\r\n\r\n"));
}

#[test]
fn a_path_on_which_no_socket_can_be_is_named() {
    let folder = folder();
    fs::write(folder.path().join("file"), "precious").unwrap();
    let long = "x".repeat(200);
    for (path, problem) in [
        ("absent/socket", "No such file or directory (os error 2)"),
        ("file", "there is a file with this name that is no socket"),
        (&long, "path must be shorter than SUN_LEN"),
    ] {
        let (status, _, complained) = run(&mut command(folder.path(), &["served:app", "--uds", path]));
        assert_eq!(status.code(), Some(1));
        assert_eq!(complained, format!("error: cannot listen on unix:{path}: {problem}\n"));
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"precious");
}

/// As systemd passes it, except for the number.
#[test]
fn a_socket_that_another_process_has_opened_is_used() {
    for processes in [&[][..], &["--processes", "2"]] {
        let folder = folder();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        let descriptor = listener.as_raw_fd().to_string();
        let mut command = command(folder.path(), &[&["served:app"], processes].concat());
        let server = Process::spawn(command.env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", descriptor));
        assert_eq!(server.address, listener.local_addr().unwrap());
        assert_eq!(server.get("/"), "first http");
    }
}
