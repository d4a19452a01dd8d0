//! Listeners of all kinds.

use std::collections::VecDeque;
use std::future::Ready;
use std::io;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use gateway::serve::{Connection, Listener};
use gateway_tests::{Flavour, Stoppable, http2, recv};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::serve_gated;

/// A listener whose first accepts fail.
struct FailingListener {
    errors: VecDeque<io::Error>,
    listener: TcpListener,
}

impl Listener for FailingListener {
    type Io = TcpStream;
    type Opening = Ready<io::Result<Connection<TcpStream>>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => Listener::accept(&mut self.listener).await,
        }
    }
}

/// Neither a disconnected client nor a lack of file descriptors ends the server.
#[test]
fn no_error_ends_the_server() {
    let server = Stoppable::start(Flavour::CurrentThread, |listener| {
        // `EMFILE`, whose number is the same on all supported systems.
        let errors = [io::ErrorKind::ConnectionAborted.into(), io::Error::from_raw_os_error(24)];
        gateway::serve(FailingListener { errors: errors.into(), listener }, Router::new())
    });
    assert_eq!(server.get("/").reply().status(), 404);
}

#[test]
fn a_server_that_cannot_accept_can_be_stopped() {
    let mut server = Stoppable::start(Flavour::CurrentThread, |listener| {
        let errors = std::iter::repeat_with(|| io::Error::from_raw_os_error(24)).take(1_000_000).collect();
        gateway::serve(FailingListener { errors, listener }, Router::new())
    });
    assert!(server.report().is_clean());
}

#[test]
fn connections_beyond_the_limit_wait_for_one_to_end() {
    let server =
        Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(listener, Router::new()).max_connections(1));
    for _ in 0..5 {
        let mut first = server.get("/");
        assert_eq!(first.reply().status(), 404);
        let mut second = server.get("/");
        drop(first);
        assert_eq!(second.reply().status(), 404);
    }
}

pub(super) fn request(path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("http://test.local{path}")).body(Empty::new()).unwrap()
}

/// HTTP-17: a connection that begins with the HTTP/2 preface, in any segments, uses HTTP/2, unless HTTP/2 is disabled.
#[tokio::test(crate = "crate::bounded")]
async fn http2_is_detected_by_its_first_bytes() {
    for flavour in Flavour::ALL {
        let server = Stoppable::start(flavour, |listener| gateway::serve(listener, Router::new()));
        let response = http2(server.address()).await.send_request(request("/")).await.unwrap();
        assert_eq!((response.version(), response.status().as_u16()), (http::Version::HTTP_2, 404));
        // These bytes resemble a preface, but are none.
        for method in ["P", "PRI", "PROPFIND", "POST"] {
            let mut connection = server.connect();
            for byte in format!("{method} * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").bytes() {
                connection.send_bytes(&[byte]);
            }
            assert_eq!(connection.reply().status(), 404, "{method}");
        }
    }
    let server =
        Stoppable::start(Flavour::MultiThread, |listener| gateway::serve(listener, Router::new()).http2(false));
    assert!(http2(server.address()).await.send_request(request("/")).await.is_err());
    assert_eq!(server.get("/").reply().status(), 404);
}

#[tokio::test(crate = "crate::bounded")]
async fn one_http2_connection_leaves_room_in_the_queue() {
    let (server, gate) = serve_gated(Flavour::MultiThread, |server| server);
    let mut client = http2(server.address()).await;
    // With the first response, the client has received the server's settings.
    assert_eq!(client.send_request(request("/fast")).await.unwrap().status(), 200);
    let answers: Vec<_> = (0..8).map(|_| tokio::spawn(client.send_request(request("/gated")))).collect();
    let mut other = server.connect();
    gate.begun().await;
    other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in &answers {
        gate.let_one();
    }
    for answer in answers {
        let response = answer.await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(other.reply().text(), "hello");
}

/// A connection can be upgraded, for example to a web socket, and the request timeouts no longer apply.
#[test]
fn a_connection_can_be_upgraded() {
    let upgrades = axum::routing::get(|mut request: axum::extract::Request| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgraded.await.unwrap());
            let (mut reader, mut writer) = tokio::io::split(&mut io);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        let head = http::Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
        head.body(axum::body::Body::empty()).unwrap()
    });
    let mut server = Stoppable::start(Flavour::MultiThread, |listener| {
        gateway::serve(listener, Router::new().route("/", upgrades)).keep_alive(Duration::from_millis(50))
    });
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(connection.head().0, "HTTP/1.1 101 Switching Protocols");
    // The server closes idle connections, but an upgraded connection is not idle.
    let mut idle = server.get("/absent");
    assert_eq!(idle.reply().status(), 404);
    idle.discard_until_closed();
    connection.send("echo");
    assert_eq!(connection.exactly(4), b"echo");
    // The shutdown does not wait for it, either.
    assert!(server.report().is_clean());
}

/// BP-06: the unsent bytes in the system's buffer for a slow peer are bounded, so that the server observes small
/// progress of the peer. By default, Linux reports progress only after megabytes.
#[cfg(target_os = "linux")]
#[test]
fn little_waits_unsent_in_the_system() {
    struct Looking(TcpListener, std::sync::mpsc::Sender<u32>);

    impl Listener for Looking {
        type Io = <TcpListener as Listener>::Io;
        type Opening = std::future::Ready<std::io::Result<Connection<Self::Io>>>;

        async fn accept(&mut self) -> std::io::Result<Self::Opening> {
            let found = self.1.clone();
            let opened = Listener::accept(&mut self.0).await?.await?.map(|stream| {
                let bound = socket2::SockRef::from(&stream).tcp_notsent_lowat().expect("an option of TCP");
                found.send(bound).expect("the test waits");
                stream
            });
            Ok(std::future::ready(Ok(opened)))
        }
    }

    let (found, bounds) = std::sync::mpsc::channel();
    let server =
        Stoppable::start(Flavour::CurrentThread, |listener| gateway::serve(Looking(listener, found), Router::new()));
    assert_eq!(server.get("/").reply().status(), 404);
    assert_eq!(recv(&bounds), 128 * 1024);
}
