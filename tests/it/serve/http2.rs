//! Limits of one HTTP/2 stream, which protect the other streams of its connection.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::network::Network;

async fn connect(router: Router) -> SendRequest<Full<Bytes>> {
    let network = Network::of(router);
    let io = TokioIo::new(network.connect(1 << 16));
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 22)
        .handshake(io)
        .await
        .expect("speaks HTTP/2");
    tokio::spawn(async move {
        // The network must live as long as its connection.
        let _network = network;
        let _ = connection.await;
    });
    sender
}

fn request(path: &str, cookie: usize) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::builder().uri(format!("http://a{path}"));
    if cookie > 0 {
        request = request.header("cookie", "c".repeat(cookie));
    }
    request.body(Full::default()).expect("a request")
}

/// SEC-08: a head may be as large as on HTTP/1, and a larger head is refused without an effect on other streams.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_head_may_be_as_large_as_on_http_1() {
    let router =
        Router::new().route("/", get(|headers: http::HeaderMap| async move { headers["cookie"].len().to_string() }));
    let router = router.route("/neighbour", get(|| async { tokio::time::sleep(Duration::from_secs(3)).await }));
    let mut sender = connect(router).await;
    for (size, status) in
        [(1, 200), (17 << 10, 200), (64 << 10, 200), (400 << 10, 200), (409 << 10, 431), (600 << 10, 431)]
    {
        let neighbour = sender.send_request(request("/neighbour", 0));
        let answer = sender.send_request(request("/", size)).await.expect("answers");
        assert_eq!(answer.status(), status, "{size}");
        let text = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(text, if status == 200 { size.to_string() } else { String::new() });
        assert_eq!(neighbour.await.expect("lives").status(), 200, "beside {size}");
    }
}

/// SEC-08: the limit for the number of fields is the same as on HTTP/1, and a cookie in several parts counts as one
/// field.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_head_has_as_many_fields_as_on_http_1() {
    let router = Router::new().route("/", get(|| async { "ok" }));
    let mut sender = connect(router).await;
    for (fields, crumbs, status) in [(99, 1, 200), (100, 0, 200), (101, 0, 431), (100, 1, 431), (99, 300, 200)] {
        let mut request = request("/", 0);
        for number in 0..fields {
            let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
            request.headers_mut().append(name, http::HeaderValue::from_static("1"));
        }
        for _ in 0..crumbs {
            request.headers_mut().append("cookie", http::HeaderValue::from_static("a=b"));
        }
        assert_eq!(sender.send_request(request).await.expect("answers").status(), status, "{fields} {crumbs}");
    }
}

/// RFC 9113 §5.2.2: unread uploads do not block other uploads of their connection, whatever their number.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn uploads_that_are_not_read_hold_up_no_other_one() {
    let unread = post(|body: Body| async move {
        std::future::pending::<()>().await;
        drop(body);
    });
    let router = Router::new().route("/unread", unread).route("/echo", post(|body: Bytes| async move { body }));
    let mut sender = connect(router).await;
    let large = Bytes::from(vec![0; 4 * 1024 * 1024]);
    let mut uploads = Vec::new();
    for _ in 0..20 {
        let upload = http::Request::post("http://a/unread").body(Full::new(large.clone())).expect("a request");
        uploads.push(tokio::spawn(sender.send_request(upload)));
        let echo = http::Request::post("http://a/echo").body(Full::new(Bytes::from("hello"))).expect("a request");
        let answer = timeout(Duration::from_secs(5), sender.send_request(echo)).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer beside {} uploads", uploads.len())).expect("answers");
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "hello");
    }
}

/// RFC 9113 §8.1.1: the head of a response without a body ends its stream, so that its declared length is no mismatch.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_response_without_a_body_ends_with_its_head() {
    let not_modified = gateway::application_fn(|_, start_response| {
        start_response("304 Not Modified", &[("Content-Length", "5"), ("ETag", "\"e\"")])?;
        Ok(gateway::Chunks::empty())
    });
    let lengthy = gateway::application_fn(|_, start_response| {
        start_response("200 OK", &[("Content-Length", "5")])?;
        Ok(gateway::Chunks::new(["hello"]))
    });
    let inline = gateway::testing::Inline::new;
    let router = Router::new()
        .route_service("/304", gateway::Gateway::new(not_modified).executor(inline()))
        .route_service("/200", gateway::Gateway::new(lengthy).executor(inline()));
    let mut sender = connect(router).await;
    for (method, path, status) in [("GET", "/304", 304), ("HEAD", "/304", 304), ("HEAD", "/200", 200)] {
        let request = http::Request::builder().method(method).uri(format!("http://a{path}"));
        let request = request.body(Full::default()).expect("a request");
        let answer = sender.send_request(request).await.expect("answers");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-length"]),
            (status, &"5".parse().expect("a value"))
        );
        assert_eq!(answer.into_body().collect().await.expect("in order").to_bytes(), "");
    }
}
