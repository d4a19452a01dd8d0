//! Sockets from a service manager.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::get;
use gateway::serve::InheritedSockets;
use gateway_tests::{BOUND, Connection, Flavour, Stoppable, exit_status};

/// The program that the tests below start.
#[test]
#[ignore = "a program for other tests"]
fn the_started_program() {
    let kind = std::env::var("GATEWAY_TEST_INHERITS").unwrap();
    let router = Router::new().route("/", get(|| async { "inherited" }));
    let mut inherited = InheritedSockets::from_env();
    assert_eq!((inherited.len(), inherited.is_empty()), (1, false));
    assert!(InheritedSockets::from_env().is_empty());
    let (_stop, reports) = match kind.as_str() {
        "tcp" => Stoppable::run(Flavour::CurrentThread, move || {
            // The socket remains available for a correct call.
            assert_eq!(inherited.unix(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            let listener = inherited.tcp(0).unwrap();
            let taken = inherited.tcp(0).unwrap_err();
            assert_eq!(taken.to_string(), "inherited socket 0 was taken already");
            let absent = inherited.tcp(1).unwrap_err();
            assert_eq!(absent.to_string(), "there is no inherited socket 1; there are 1, from 0");
            gateway::serve(listener, router)
        }),
        _ => Stoppable::run(Flavour::CurrentThread, move || {
            assert_eq!(inherited.tcp(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            gateway::serve(inherited.unix(0).unwrap(), router)
        }),
    };
    // Until the test kills the program; the bound applies if the test itself was killed.
    let _ = reports.recv_timeout(BOUND);
}

/// Starts the program above with this socket.
fn start(kind: &str, socket: OwnedFd) -> Child {
    // The shell moves the socket to the descriptor of the protocol, and then executes the program in the same process,
    // so that the process id is correct.
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "serve::inherited::the_started_program"])
        .env("GATEWAY_TEST_INHERITS", kind)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// A socket that was open before the program started is served: early connections are answered.
#[test]
fn an_inherited_socket_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = Connection::open(listener.local_addr().unwrap());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut program = start("tcp", listener.into());
    let reply = connection.reply();
    program.kill().unwrap();
    exit_status(&mut program);
    assert_eq!(reply.text(), "inherited");
}

/// The same on a Unix socket.
#[test]
fn an_inherited_unix_socket_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut program = start("unix", listener.into());
    let mut response = String::new();
    let read = stream.read_to_string(&mut response);
    program.kill().unwrap();
    exit_status(&mut program);
    read.unwrap();
    assert!(response.ends_with("\r\n\r\ninherited"), "{response}");
}

#[test]
fn a_missing_socket_is_an_error() {
    let error = InheritedSockets::from_env().tcp(0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("no sockets were inherited"), "{error}");
}
