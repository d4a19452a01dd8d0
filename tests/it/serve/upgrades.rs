//! Connections and streams that a handler has upgraded, on HTTP/1 and on HTTP/2.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use gateway::serve::{ShutdownReport, Stopping};
use http::{Method, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::network::{MemoryListener, Network};

/// The reaction of an echo to the shutdown of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnStop {
    /// Sends a final message, and closes.
    Closes,
    /// Continues.
    GoesOn,
}

async fn echo(manners: OnStop, mut stopping: Stopping, mut request: Request) -> Response {
    let version = request.version();
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgraded.await.expect("upgrades"));
        let mut bytes = [0; 64];
        loop {
            tokio::select! {
                () = stopping.wait(), if manners == OnStop::Closes => {
                    let _ = io.write_all(b"goodbye").await;
                    let _ = io.shutdown().await;
                    return;
                }
                read = io.read(&mut bytes) => match read {
                    Ok(count @ 1..) => io.write_all(&bytes[..count]).await.expect("writes"),
                    Ok(0) | Err(_) => return,
                },
            }
        }
    });
    let head = match version {
        Version::HTTP_2 => Response::builder().status(200),
        _ => Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo"),
    };
    head.body(Body::empty()).expect("a response")
}

fn router() -> Router {
    Router::new()
        .route("/polite", any(|stopping, request| echo(OnStop::Closes, stopping, request)))
        .route("/deaf", any(|stopping, request| echo(OnStop::GoesOn, stopping, request)))
        .route("/", any(|| async { "plain" }))
}

type Server = gateway::serve::Server<MemoryListener, Router>;

fn start(configure: impl FnOnce(Server) -> Server) -> (Network, oneshot::Sender<()>, JoinHandle<ShutdownReport>) {
    let (network, listener) = Network::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        configure(gateway::serve(listener, router())).with_graceful_shutdown(async move { drop(stopped.await) });
    (network, stop, tokio::spawn(async move { server.run().await.expect("stops") }))
}

/// An upgraded connection, or stream of a connection, of `target`.
async fn upgrade(network: &Network, version: Version, target: &str) -> TokioIo<Upgraded> {
    let io = TokioIo::new(network.connect(1 << 16));
    let request = http::Request::builder().uri(format!("http://a{target}"));
    let response = if version == Version::HTTP_2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("speaks HTTP/2");
        tokio::spawn(connection);
        // By now the server has announced support for such requests.
        let plain = http::Request::builder().uri("http://a/").body(Body::empty()).expect("a request");
        assert_eq!(sender.send_request(plain).await.expect("answers").status(), 200);
        let request = request.method(Method::CONNECT).extension(Protocol::from_static("echo"));
        sender.send_request(request.body(Body::empty()).expect("a request")).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("speaks HTTP/1");
        tokio::spawn(connection.with_upgrades());
        let request = request.header("host", "a").header("connection", "upgrade").header("upgrade", "echo");
        sender.send_request(request.body(Body::empty()).expect("a request")).await
    };
    let response = response.expect("answers");
    assert!(matches!(response.status(), StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS), "{}", response.status());
    TokioIo::new(hyper::upgrade::on(response).await.expect("upgrades"))
}

async fn assert_echoes(io: &mut TokioIo<Upgraded>) {
    io.write_all(b"echo").await.expect("writes");
    let mut bytes = [0; 4];
    timeout(Duration::from_secs(5), io.read_exact(&mut bytes)).await.expect("answers").expect("reads");
    assert_eq!(&bytes, b"echo");
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A connection is not idle while a handler uses it, however long ago its last request ended.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_upgraded_connection_is_not_idle() {
    for version in VERSIONS {
        let (network, _stop, _report) = start(|server| server);
        let mut io = upgrade(&network, version, "/deaf").await;
        for _ in 0..5 {
            assert_echoes(&mut io).await;
            sleep(Duration::from_secs(74)).await;
        }
        // It is not idle even if it is silent for longer than the keep-alive timeout.
        sleep(Duration::from_secs(200)).await;
        assert_echoes(&mut io).await;
        drop(io);
        // Afterwards it is idle, or has ended.
        sleep(Duration::from_secs(80)).await;
        assert_eq!(network.counts().0, 1, "{version:?}");
    }
}

/// An upgraded connection is notified of a shutdown, may send a final message, and delays the shutdown by at most one
/// second, on either protocol.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_upgraded_connection_observes_a_stop_and_is_not_awaited() {
    for version in VERSIONS {
        for manners in [OnStop::Closes, OnStop::GoesOn] {
            let (network, stop, report) = start(|server| server.grace(Duration::from_secs(30)));
            let target = if manners == OnStop::Closes { "/polite" } else { "/deaf" };
            let mut io = upgrade(&network, version, target).await;
            assert_echoes(&mut io).await;
            let begun = Instant::now();
            stop.send(()).expect("the server runs");
            let mut rest = Vec::new();
            let ended = io.read_to_end(&mut rest).await;
            let case = format!("{version:?} {manners:?}: {ended:?}");
            match manners {
                OnStop::Closes => assert_eq!((&*rest, ended.is_ok()), (&b"goodbye"[..], true), "{case}"),
                OnStop::GoesOn => assert_eq!(rest, b"", "{case}"),
            }
            drop(io);
            let report = report.await.expect("runs");
            assert!(report.is_clean(), "{case}: {report}");
            // On HTTP/2 the server reads from the connection for a short time after its end.
            assert!(begun.elapsed() <= Duration::from_secs(3), "{case}: {:?}", begun.elapsed());
            assert_eq!(network.counts().0, 1, "{case}");
        }
    }
}

#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn an_upgraded_connection_counts_as_a_connection() {
    for version in VERSIONS {
        let (network, _stop, _report) = start(|server| server.max_connections(4));
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(upgrade(&network, version, "/deaf").await);
        }
        let waiting = timeout(Duration::from_secs(60), upgrade(&network, version, "/deaf"));
        assert!(waiting.await.is_err(), "{version:?}: a fifth connection");
        drop(taken.pop());
        if version == Version::HTTP_2 {
            // The connection continues without the stream, until it is idle.
            sleep(Duration::from_secs(80)).await;
        }
        let mut next = timeout(Duration::from_secs(60), upgrade(&network, version, "/deaf")).await.expect("a place");
        assert_echoes(&mut next).await;
    }
}

/// After a handler has shut down its own side, it may still read from the upgraded connection.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_handler_reads_on_after_it_has_closed_its_side() {
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let half_closes = any(move |mut request: Request| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgraded.await.expect("upgrades"));
            io.write_all(b"bye").await.expect("writes");
            io.shutdown().await.expect("closes its side");
            let mut rest = Vec::new();
            let ended = io.read_to_end(&mut rest).await;
            let _ = sender.send((rest, ended.is_ok()));
        });
        let head = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
        head.body(Body::empty()).expect("a response")
    });
    let network = Network::of(Router::new().route("/", half_closes));
    let mut io = upgrade(&network, Version::HTTP_11, "/").await;
    let mut bye = Vec::new();
    io.read_to_end(&mut bye).await.expect("reads");
    assert_eq!(bye, b"bye");
    // This is longer than the linger timeout of the server's own connections.
    sleep(Duration::from_secs(40)).await;
    io.write_all(b"still here").await.expect("writes");
    io.shutdown().await.expect("closes its side");
    assert_eq!(received.recv().await, Some((b"still here".to_vec(), true)));
}

#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_silent_http2_peer_does_not_hold_up_a_shutdown() {
    use super::network::{get, preface};

    for asks in [false, true] {
        let (network, stop, report) = start(|server| server.grace(Duration::from_secs(30)));
        let mut client = network.connect(1 << 16);
        client.write_all(&preface(65_535)).await.expect("writes");
        if asks {
            client.write_all(&get(1)).await.expect("writes");
        }
        sleep(Duration::from_secs(5)).await;
        let begun = Instant::now();
        stop.send(()).expect("the server runs");
        // The client reads nothing, and acknowledges nothing.
        assert!(report.await.expect("runs").is_clean(), "{asks}");
        assert!(begun.elapsed() <= Duration::from_secs(4), "{asks}: {:?}", begun.elapsed());
    }
}
