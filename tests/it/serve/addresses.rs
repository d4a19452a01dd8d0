//! The addresses of both ends of a connection.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use gateway::{Chunks, Gateway, LocalAddr, TrustedProxies, application_fn};
use gateway_tests::{BOUND, Connection, Flavour, Server, Stoppable, answer_fn, recv};
use tokio::net::UnixListener;
use tower::Layer as _;

const KEYS: [&str; 5] = ["REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"];

fn shows_addresses() -> Gateway {
    Gateway::new(answer_fn(|environ| {
        assert_eq!(environ.local_addr().is_some(), environ.remote_addr().is_some());
        Ok([KEYS
            .map(|key| environ.get(key).map_or("-", |value| if value.is_empty() { "''" } else { value }))
            .join(" ")])
    }))
}

/// ENV-20, ENV-21, ENV-23, ENV-24: on TCP both addresses are known. They are those of the connection, whatever the
/// client claims and the listener is bound to.
#[test]
fn both_addresses_of_a_connection_are_known() {
    for (address, flavour) in [("127.0.0.1", Flavour::CurrentThread), ("0.0.0.0", Flavour::MultiThread)] {
        let server = Stoppable::start_at(address, flavour, |listener| {
            gateway::serve(listener, Router::new().fallback_service(shows_addresses()))
        });
        let mut connection = server.connect();
        let port = connection.local_addr().port();
        let reply = connection.request("GET / HTTP/1.1\r\nHost: other.example:81\r\n\r\n");
        assert_eq!(reply.text(), format!("127.0.0.1 {port} 127.0.0.1 {} http", server.address().port()));
    }
}

/// ENV-20, ENV-23: a dual-stack socket reports an IPv4 peer as an IPv6 address; applications see one form for both
/// ends.
#[test]
fn a_socket_for_both_families_shows_ipv4_as_ipv4() {
    let proxies = |network| TrustedProxies::new([network]).unwrap().x_forwarded_for();
    let shows = || {
        Gateway::new(answer_fn(|environ| {
            let typed = [environ.remote_addr(), environ.local_addr()];
            let typed = typed.map(|address| address.map_or(String::from("-"), |address| address.ip().to_string()));
            let ip = environ.remote_ip().map_or(String::from("-"), |ip| ip.to_string());
            let variables = ["REMOTE_ADDR", "SERVER_NAME"].map(|key| environ.get(key).unwrap_or("-"));
            Ok([[variables.join(" "), typed.join(" "), ip].join(" ")])
        }))
    };
    for flavour in Flavour::ALL {
        let server = Stoppable::start_at("::", flavour, move |listener| {
            let router = Router::new()
                .route_service("/direct", shows())
                .route_service("/behind", proxies("127.0.0.0/8").layer(shows()))
                .route_service("/beyond", proxies("192.0.2.0/24").layer(shows()));
            gateway::serve(listener, router)
        });
        let port = server.address().port();
        let ask = |from: &str, path: &str| {
            let address = format!("{from}:{port}").parse().unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: ::ffff:203.0.113.5\r\n\r\n");
            Connection::open(address).request(&request).text()
        };
        assert_eq!(ask("127.0.0.1", "/direct"), "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1");
        assert_eq!(ask("127.0.0.1", "/behind"), "203.0.113.5 127.0.0.1 127.0.0.1 127.0.0.1 203.0.113.5");
        assert_eq!(ask("127.0.0.1", "/beyond"), "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1");
        assert_eq!(ask("[::1]", "/direct"), "::1 [::1] ::1 ::1 ::1");
    }
}

/// ENV-20, ENV-21: the configured address takes precedence.
#[test]
fn a_configured_name_wins() {
    let server = Stoppable::start(Flavour::CurrentThread, |listener| {
        let app = shows_addresses().server_name("www.example").server_port(443);
        gateway::serve(listener, Router::new().fallback_service(app))
    });
    let text = server.get("/").reply().text();
    assert!(text.ends_with(" www.example 443 http"), "{text}");
}

/// axum handlers find the peer in `ConnectInfo`, as with `axum::serve`.
#[test]
fn async_handlers_know_the_peer() {
    let server = Stoppable::start(Flavour::MultiThread, |listener| {
        let handler = |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| async move { peer.to_string() };
        gateway::serve(listener, Router::new().route("/", get(handler)))
    });
    let mut connection = server.get("/");
    let here = connection.local_addr().to_string();
    assert_eq!(connection.reply().text(), here);
}

/// Sends a request to a server on a Unix socket, and returns the whole response.
fn ask(router: Router, request: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let bound = path.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (stop, reports) = Stoppable::run(Flavour::CurrentThread, move || {
        let listener = UnixListener::bind(bound).unwrap();
        ready.send(()).unwrap();
        gateway::serve(listener, router)
    });
    recv(&is_ready);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    drop(stop);
    assert!(recv(&reports).is_clean());
    // The server does not delete the socket file.
    assert!(path.exists());
    response
}

/// ENV-25: a Unix socket has no addresses. The environ has an empty one for the peer, which applications look for, and
/// no port.
#[test]
fn there_are_no_addresses_on_a_unix_socket() {
    let router = || Router::new().fallback_service(shows_addresses());
    let response = ask(router(), "GET / HTTP/1.1\r\nHost: example.org:81\r\nConnection: close\r\n\r\n");
    assert!(response.ends_with("\r\n\r\n'' - example.org 81 http"), "{response}");
    let response = ask(router(), "GET / HTTP/1.0\r\n\r\n");
    assert!(response.ends_with("\r\n\r\n'' - localhost 80 http"), "{response}");
}

/// SEC-04: a request without a host is refused on a Unix socket, too.
#[test]
fn a_host_is_named_on_a_unix_socket() {
    let response =
        ask(Router::new().fallback_service(shows_addresses()), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
}

/// ENV-23, SEC-05.
#[test]
fn a_proxy_on_a_unix_socket_is_trusted_if_it_is_configured() {
    let request = "GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                   Connection: close\r\n\r\n";
    let behind = |proxies: TrustedProxies| {
        let proxies = proxies.x_forwarded_for().x_forwarded_proto();
        Router::new().fallback_service(shows_addresses()).layer(proxies)
    };
    let none = || TrustedProxies::new([]).unwrap();
    let response = ask(behind(none().unix_sockets()), request);
    assert!(response.ends_with("\r\n\r\n192.0.2.7 - example.org 443 https"), "{response}");
    let response = ask(behind(none()), request);
    assert!(response.ends_with("\r\n\r\n'' - example.org 80 http"), "{response}");
    // A network on TCP does not include Unix sockets, and the reverse.
    let server = Stoppable::start(Flavour::CurrentThread, move |listener| {
        gateway::serve(listener, behind(none().unix_sockets()))
    });
    assert!(server.connect().request(request).text().starts_with("127.0.0.1 "));
    let everyone = TrustedProxies::new(["0.0.0.0/0", "::/0"]).unwrap();
    let response = ask(behind(everyone), request);
    assert!(response.ends_with("\r\n\r\n'' - example.org 80 http"), "{response}");
}

/// ENV-20: other servers may provide the local address. An IPv6 address is written as in a URL, a mapped IPv4 address
/// as IPv4.
#[test]
fn any_server_may_provide_the_local_address() {
    for (local, shown) in [("[::1]:8000", "[::1] 8000"), ("[::ffff:192.0.2.1]:80", "192.0.2.1 80")] {
        let app = answer_fn(|environ| {
            Ok([["SERVER_NAME", "SERVER_PORT"].map(|key| environ.get(key).unwrap_or("-")).join(" ")])
        });
        let local = axum::Extension(LocalAddr::Tcp(local.parse().unwrap()));
        let router = Router::new().fallback_service(Gateway::new(app)).layer(local);
        assert_eq!(Server::with_axum(router).get("/").text(), shown);
    }
}

/// HTTP-09: a Unix socket has no reset, so that an HTTP/1.0 client detects a complete response by its length only.
/// Therefore every known length is sent.
#[test]
fn a_length_that_is_known_is_said_on_a_unix_socket_to_http_1_0() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        match environ.path_info() {
            "/list" => Ok(Chunks::new(["hello"])),
            "/known" => Ok(Chunks::known(["x".repeat(60_000), "y".repeat(60_000)])?),
            "/file" => Ok(Chunks::file(std::fs::File::open(FILE)?)),
            "/empty" => Ok(Chunks::empty()),
            _ => Err(gateway::Error::new("trouble")),
        }
    });
    let router = Router::new().fallback_service(Gateway::new(app));
    let size = std::fs::metadata(FILE).unwrap().len();
    for (path, length) in [("/list", 5), ("/known", 120_000), ("/file", size), ("/empty", 0), ("/fails", 22)] {
        for version in ["1.0", "1.1"] {
            let request = format!("GET {path} HTTP/{version}\r\nHost: h\r\nConnection: close\r\n\r\n");
            let response = ask(router.clone(), &request).to_lowercase();
            let expected = format!("\r\ncontent-length: {length}\r\n");
            assert!(response.contains(&expected), "{path} on {version}: {}", &response[..200.min(response.len())]);
        }
    }
}
