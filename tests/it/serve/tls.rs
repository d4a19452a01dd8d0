//! TLS: ENV-28, ENV-36.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use gateway::serve::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use gateway::serve::rustls::server::WebPkiClientVerifier;
use gateway::serve::rustls::{ClientConfig, RootCertStore, ServerConfig};
use gateway::serve::{Server, TlsListener};
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{BOUND, Flavour, Stoppable, within};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::network::Network;

const KEYS: [&str; 8] = [
    "wsgi.url_scheme",
    "HTTPS",
    "SSL_PROTOCOL",
    "SSL_CIPHER",
    "SSL_TLS_SNI",
    "SSL_CLIENT_VERIFY",
    "REMOTE_ADDR",
    "SERVER_NAME",
];

/// A self-signed certificate for `localhost`.
struct Identity {
    certified: CertifiedKey<KeyPair>,
}

impl Identity {
    fn new() -> Self {
        Self { certified: generate_simple_self_signed(["localhost".to_owned()]).unwrap() }
    }

    fn key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.certified.signing_key.serialize_der().into()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certified.cert.der().clone()).unwrap();
        roots
    }

    fn server(&self) -> ServerConfig {
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certified.cert.der().clone()], self.key().into())
            .unwrap()
    }

    fn client(&self, protocols: &[&str]) -> ClientConfig {
        let mut config = ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

fn router() -> Router {
    Router::new().fallback_service(Gateway::new(application_fn(|environ, start_response| {
        start_response("200 OK", &[("Content-Type", "text/plain")])?;
        if environ.path_info() == "/half" {
            start_response.replace(gateway::Error::new("none"), "200 OK", &[])?.send("some ")?;
            return Err(gateway::Error::new("scripted"));
        }
        Ok(Chunks::new([KEYS.map(|key| environ.get(key).unwrap_or("-")).join(" ")]))
    })))
}

fn start(
    flavour: Flavour,
    config: ServerConfig,
    more: impl FnOnce(Server<TlsListener<TcpListener>, Router>) -> Server<TlsListener<TcpListener>, Router> + Send + 'static,
) -> Stoppable {
    Stoppable::start(flavour, move |listener| {
        more(gateway::serve(TlsListener::new(listener, Arc::new(config)), router()))
    })
}

async fn connect(server: &Stoppable, config: ClientConfig) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> (String, std::io::Result<usize>) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let ended = stream.read_to_end(&mut response).await;
    (String::from_utf8(response).unwrap(), ended)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: forged.example\r\nSsl-Protocol: forged\r\nConnection: close\r\n\r\n";

/// ENV-28, ENV-36: the scheme is the connection's, and the TLS properties are variables; the close sends a
/// `close_notify`.
#[tokio::test(crate = "crate::bounded")]
async fn requests_know_the_facts_of_their_tls() {
    for flavour in Flavour::ALL {
        let identity = Identity::new();
        let mut server = start(flavour, identity.server(), |server| server);
        let mut stream = connect(&server, identity.client(&["http/1.1"])).await;
        let (response, ended) = ask(&mut stream, GET).await;
        let facts = "\r\n\r\nhttps on TLSv1.3 TLS_AES_256_GCM_SHA384 localhost NONE 127.0.0.1 127.0.0.1";
        assert!(response.ends_with(facts), "{response}");
        // Without a `close_notify`, the client could not distinguish a complete response from a truncated one.
        assert!(ended.is_ok());
        drop(stream);
        assert!(server.report().is_clean());
    }
}

/// HTTP-17: HTTP/2 is used if both sides negotiate it, unless the configuration sets the protocols.
#[tokio::test(crate = "crate::bounded")]
async fn http2_is_agreed_on() {
    let identity = Identity::new();
    let server = start(Flavour::MultiThread, identity.server(), |server| server);
    let stream = connect(&server, identity.client(&["h2", "http/1.1"])).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b"https on TLSv1.3 "), "{text:?}");

    let mut config = identity.server();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = start(Flavour::MultiThread, config, |server| server);
    let stream = connect(&server, identity.client(&["h2", "http/1.1"])).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

/// ENV-36: a variable tells whether the client has sent a certificate; the TLS configuration must verify it.
#[tokio::test(crate = "crate::bounded")]
async fn a_client_certificate_is_reported() {
    let (identity, client) = (Identity::new(), Identity::new());
    let verifier = WebPkiClientVerifier::builder(Arc::new(client.roots())).build().unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certified.cert.der().clone()], identity.key().into())
        .unwrap();
    let server = start(Flavour::CurrentThread, config, |server| server);
    let config = ClientConfig::builder()
        .with_root_certificates(identity.roots())
        .with_client_auth_cert(vec![client.certified.cert.der().clone()], client.key().into())
        .unwrap();
    let (response, _) = ask(&mut connect(&server, config).await, GET).await;
    assert!(response.ends_with(" localhost SUCCESS 127.0.0.1 127.0.0.1"), "{response}");
}

/// A handshake has a timeout, and neither a slow handshake nor a failed one blocks other connections.
#[tokio::test(crate = "crate::bounded")]
async fn a_slow_handshake_delays_no_other_connection() {
    let identity = Identity::new();
    let server =
        start(Flavour::CurrentThread, identity.server(), |server| server.header_timeout(Duration::from_millis(500)));
    let mut silent = server.connect();
    let mut plain = server.get("/");
    let (response, _) = ask(&mut connect(&server, identity.client(&[])).await, GET).await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let closed = tokio::task::spawn_blocking(move || {
        plain.discard_until_closed();
        silent.is_closed()
    });
    assert!(closed.await.unwrap());
}

/// ERR-05: an incomplete response that ends with its connection does not end in an orderly close.
#[tokio::test(crate = "crate::bounded")]
async fn half_a_response_is_not_closed_in_order() {
    let identity = Identity::new();
    let server = start(Flavour::MultiThread, identity.server(), |server| server);
    let (_, ended) = ask(&mut connect(&server, identity.client(&[])).await, "GET /half HTTP/1.0\r\n\r\n").await;
    assert!(ended.is_err());
}

/// DISC-06: a disconnect is detected, with a `close_notify` and without.
#[tokio::test(crate = "crate::bounded")]
async fn a_client_that_leaves_is_noticed() {
    for says_goodbye in [true, false] {
        let identity = Identity::new();
        let (called, mut calls) = tokio::sync::mpsc::unbounded_channel();
        let app = application_fn(move |environ, _| {
            called.send(false)?;
            called.send(environ.wait_for_disconnect(BOUND))?;
            Ok(Chunks::empty())
        });
        let config = Arc::new(identity.server());
        let server = Stoppable::start(Flavour::MultiThread, move |listener| {
            gateway::serve(TlsListener::new(listener, config), Router::new().fallback_service(Gateway::new(app)))
        });
        let mut stream = connect(&server, identity.client(&[])).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(within(calls.recv()).await, Some(false));
        if says_goodbye {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        assert_eq!(within(calls.recv()).await, Some(true));
    }
}

#[tokio::test(crate = "crate::bounded")]
async fn an_unfinished_handshake_does_not_hang_the_drain() {
    let identity = Identity::new();
    let mut server = start(Flavour::CurrentThread, identity.server(), |server| server);
    let mut silent = server.connect();
    assert!(server.report().is_clean());
    assert!(silent.is_closed());
}

/// BP-06: the write stall timeout depends on the bytes that TLS has sent, not on the bytes in its buffer.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_peer_that_reads_nothing_is_distinguished_from_a_slow_one() {
    let identity = Identity::new();
    let (network, listener) = Network::new();
    let large = axum::routing::get(|| async { vec![b'x'; 4 * 1024 * 1024] });
    let listener = TlsListener::new(listener, Arc::new(identity.server()));
    tokio::spawn(gateway::serve(listener, Router::new().route("/", large)).into_future());
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(identity.client(&["http/1.1"])));
    let mut stream = connector.connect(name, network.connect(1000)).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    // From here on, each read of the client is smaller than a TLS record.
    let (mut raw, _) = stream.into_inner();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(58)).await;
        raw.read_exact(&mut [0; 10]).await.unwrap();
    }
    assert_eq!(network.counts(), (0, 0));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(network.counts(), (0, 0));
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(network.counts(), (1, 1));
}
