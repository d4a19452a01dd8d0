//! Sockets from a service manager.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use axum::Router;
use axum::routing::get;
use gateway::serve::Inherited;
use gateway_tests::{Connection, Flavour, Stoppable};

/// The program that the test below starts; does nothing when it runs as a test.
#[test]
fn the_started_program() {
    let Ok(kind) = std::env::var("GATEWAY_TEST_INHERITS") else { return };
    let router = Router::new().route("/", get(|| async { "inherited" }));
    let mut inherited = Inherited::from_env();
    assert_eq!((inherited.len(), inherited.is_empty()), (1, false));
    assert!(Inherited::from_env().is_empty());
    let (_stop, reports) = Stoppable::run(Flavour::CurrentThread, move || {
        if kind == "tcp" {
            let error = inherited.unix(0).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            let listener = inherited.tcp(0).unwrap();
            let error = inherited.tcp(0).unwrap_err();
            assert_eq!(error.to_string(), "inherited socket 0 was taken already");
            let error = inherited.tcp(1).unwrap_err();
            assert_eq!(error.to_string(), "there is no inherited socket 1; there are 1, from 0");
            gateway::serve(listener, router)
        } else {
            panic!("{kind}")
        }
    });
    // Until it is killed.
    let _ = reports.recv();
}

/// A socket that was open before the program was is served.
#[test]
fn an_inherited_socket_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The shell moves the socket to where the protocol wants it, and becomes the program, so that the number of its process is right.
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut program = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "serve::inherited::the_started_program"])
        .env("GATEWAY_TEST_INHERITS", "tcp")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut connection = Connection::open(address);
    let reply = connection.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(reply.text(), "inherited");
}

/// Without any, it is said what is missing.
#[test]
fn a_missing_socket_is_said_to_be_missing() {
    let error = Inherited::from_env().tcp(0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("no sockets were inherited"), "{error}");
}
