//! Warnings that are logged once, about configurations that no other event shows.

use std::net::SocketAddr;

use axum::Router;
use futures_util::FutureExt as _;
use gateway::testing::{Client, Inline};
use gateway::{Gateway, LocalAddr, Pool, TrustedProxies};
use gateway_tests::{Connection, Logged, answer_fn, block_on, call, capture_log};
use tokio::net::TcpListener;

/// The warnings that `run` logged, with their fields.
fn warned(run: impl FnOnce()) -> Vec<String> {
    let ((), log) = capture_log(run);
    let is_warning = |event: &Logged| event.level == tracing::Level::WARN && event.target == "gateway::warning";
    assert!(log.iter().all(is_warning), "{log:?}");
    log.into_iter().map(|event| event.text).collect()
}

/// Answers with the address of the client. It runs on the thread whose warnings are captured.
fn shows_peer(name: &str) -> Gateway {
    let app = answer_fn(|environ| Ok([environ.get("REMOTE_ADDR").unwrap_or("nobody").to_owned()]));
    Gateway::new(app).name(name).executor(Inline::new())
}

/// Runs `serve` on this thread, sends it three requests, and returns the bodies.
fn ask<F>(serve: impl FnOnce(TcpListener) -> F) -> [String; 3]
where
    F: IntoFuture<Output = std::io::Result<()>>,
{
    block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(address);
            [(); 3].map(|()| connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text())
        });
        tokio::select! {
            _ = serve(listener).into_future() => panic!("a server does not end"),
            bodies = client => bodies.unwrap(),
        }
    })
}

/// ENV-25, MNT-11: if the server does not provide the peer's address, one warning for each mount names the fix; the
/// requests are served.
#[test]
fn a_server_that_does_not_tell_the_peer_is_pointed_out() {
    let gateway = shows_peer("orders");
    let router = Router::new().fallback_service(gateway.clone());
    let log = warned(|| assert_eq!(ask(|listener| axum::serve(listener, router)), ["nobody", "nobody", "nobody"]));
    assert_eq!(log.len(), 1, "{log:?}");
    for words in ["mount=\"orders\"", "REMOTE_ADDR is absent", "into_make_service_with_connect_info::<SocketAddr>()"] {
        assert!(log[0].contains(words), "{words} is not in {log:?}");
    }
    // A clone belongs to the same mount; another application is another mount.
    assert_eq!(warned(|| assert_eq!(call(&gateway, "/").now_or_never().unwrap().unwrap().status(), 200)), [""; 0]);
    let other = shows_peer("reports");
    assert_eq!(warned(|| drop(call(&other, "/").now_or_never())).len(), 1);
}

/// ENV-23: if the server provides the address, there is no warning.
#[test]
fn a_server_that_tells_the_peer_is_left_alone() {
    let router = Router::new().fallback_service(shows_peer("told"));
    let expected = ["127.0.0.1"; 3];
    let log = warned(|| {
        let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
        assert_eq!(ask(|listener| axum::serve(listener, service)), expected);
        assert_eq!(ask(|listener| gateway::serve(listener, router)), expected);
    });
    assert_eq!(log, [""; 0]);
}

/// ENV-25: if the peers have no address, or if no application reads the address, there is no warning.
#[test]
fn who_needs_no_peer_is_left_alone() {
    let silent = Gateway::new(answer_fn(|environ| Ok([environ.path_info().to_owned()])));
    let configured = shows_peer("configured").variable("REMOTE_ADDR", "192.0.2.1");
    let unix = Router::new().fallback_service(shows_peer("unix")).layer(axum::Extension(LocalAddr::Unix));
    let log = warned(|| {
        assert_eq!(Client::of(shows_peer("client")).get("/").text(), "nobody");
        drop(call(&silent.executor(Inline::new()), "/").now_or_never());
        drop(call(&configured, "/").now_or_never());
        assert_eq!(ask(|listener| axum::serve(listener, unix)), ["", "", ""]);
    });
    assert_eq!(log, [""; 0]);
}

/// SEC-05: if proxies are trusted, but the peers are unknown, one warning is logged for all routes.
#[test]
fn proxies_that_cannot_be_seen_are_pointed_out() {
    let proxies = || TrustedProxies::new(["127.0.0.1"]).unwrap().x_forwarded_proto();
    let scheme = || axum::routing::get(|| async { "served" });
    let router = || Router::new().route("/", scheme()).route("/other", scheme()).layer(proxies());
    let log = warned(|| assert_eq!(ask(|listener| axum::serve(listener, router())), ["served", "served", "served"]));
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].contains("no proxy is trusted") && log[0].contains("connect_info"), "{log:?}");
    let log = warned(|| drop(ask(|listener| gateway::serve(listener, router()))));
    assert_eq!(log, [""; 0]);
}

/// ERR-17: a program in which a panic costs one response gets no warning about panics.
#[test]
fn a_program_that_unwinds_is_left_alone() {
    assert_eq!(warned(|| drop(Pool::builder().build())), [""; 0]);
}

/// HTTP-09: on a Unix socket, an HTTP/1.0 client cannot detect an aborted response. A warning at the server's start
/// names this and the fix, and only for Unix sockets.
#[test]
fn a_unix_socket_is_pointed_out_when_its_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let stopped = || async {};
    let log = warned(|| {
        block_on(async {
            let listener = tokio::net::UnixListener::bind(folder.path().join("socket")).unwrap();
            gateway::serve(listener, Router::new()).with_graceful_shutdown(stopped()).await.unwrap();
        });
    });
    assert_eq!(log.len(), 1, "{log:?}");
    for words in ["Unix socket", "HTTP/1.0", "`proxy_http_version 1.1;`"] {
        assert!(log[0].contains(words), "{words} is not in {log:?}");
    }
    let log = warned(|| {
        block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            gateway::serve(listener, Router::new()).with_graceful_shutdown(stopped()).await.unwrap();
        });
    });
    assert_eq!(log, [""; 0]);
}
