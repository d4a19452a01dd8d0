//! Requests that the extractors of a handler reject: the response is axum's, and needs no thread.

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::get;
use gateway::Pool;
use gateway_tests::{Server, capture_events};

use super::{notes, pool};

fn post(kind: &str, body: &str) -> String {
    format!("POST /notes HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_rejection_is_the_response_and_takes_no_thread() {
    let pool = pool();
    let server = Server::of(notes(&pool));
    let mut connection = server.connect();
    let cases = [
        (
            post("application/json", "{\"text\": 1}"),
            422,
            "text: invalid type: integer `1`, expected a string at line 1 column 10",
        ),
        (post("application/json", "{\"text\""), 400, "EOF while parsing an object at line 1 column 7"),
        ("GET /notes HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400, "missing field `from`"),
        ("GET /notes/x HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400, "Cannot parse `x` to a `u64`"),
        ("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404, ""),
        ("PUT /notes HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(), 405, ""),
        (post("text/plain", "{}"), 415, "Expected request with `Content-Type: application/json`"),
    ];
    // All on one connection: a rejection keeps the connection if the body was read, as all but the last are.
    for (request, status, text) in cases {
        let reply = connection.request(&request);
        assert_eq!(reply.status(), status, "{request}");
        assert!(reply.text().contains(text), "{}", reply.text());
    }
    assert_eq!(pool.stats().completed, 0);
}

/// The gateway's own server keeps the connection also if the body was not read.
#[test]
fn a_rejection_before_the_body_keeps_the_connection_to_the_gateways_server() {
    let server = Server::with_gateway(notes(&pool()));
    let mut connection = server.connect();
    for _ in 0..3 {
        assert_eq!(connection.request(&post("text/plain", "{}")).status(), 415);
    }
}

/// IN-10: a body over the limit is 413: with a declared length before it is read, and in chunks when the limit is
/// exceeded.
#[test]
fn a_body_over_the_limit_is_413() {
    let pool = pool();
    let api = pool.gateway().body_limit(20);
    let server = Server::of(Router::new().route("/notes", get("").post(api.handler(super::create))));
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(20));
    assert_eq!(server.connect().request(&post("application/json", &body)).status(), 413);
    let chunked = format!(
        "POST /notes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(server.connect().request(&chunked).status(), 413);
    assert_eq!(pool.stats().completed, 0);
}

/// IN-08: a body that is shorter than declared is 400, whatever the rejection of the extractor.
#[test]
fn a_body_that_is_cut_short_is_400() {
    let server = Server::of(notes(&pool()));
    let mut connection = server.connect();
    connection.send("POST /notes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tex\r\nzz\r\n");
    assert_eq!(connection.reply().status(), 400);
}

/// No rejection is logged as a failure.
#[test]
fn a_rejection_is_no_failure_in_the_log() {
    use tower::ServiceExt as _;

    let pool = Pool::builder().threads(1).build().unwrap();
    let router = notes(&pool);
    let ((), log) = capture_events(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = axum::http::Request::get("/notes/x").body(axum::body::Body::empty()).unwrap();
            let response = router.oneshot(request).await.unwrap();
            assert_eq!(response.status(), 400);
            axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        });
    });
    let levels: Vec<_> = log.iter().map(|event| event.level).collect();
    assert!(levels.iter().all(|level| *level > tracing::Level::WARN), "{log:?}");
    assert!(log.iter().any(|event| event.text.contains("outcome=refused")), "{log:?}");
}

/// HTTP-06, HTTP-22: a rejection of a request whose body was not read is delivered whole, and ends the connection where
/// the server leaves that to the gateway. The body is never taken for a request.
#[test]
fn a_rejection_that_leaves_the_body_unread_ends_the_connection() {
    struct Rejects;
    impl<S: Send + Sync> FromRequestParts<S> for Rejects {
        type Rejection = StatusCode;
        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
            Err(StatusCode::IM_A_TEAPOT)
        }
    }
    let router = || Router::new().route("/", axum::routing::post(pool().handler(|_: Rejects| "never")));
    for (server, close) in [(Server::with_axum(router()), true), (Server::of(router()), false)] {
        let mut connection = server.connect();
        let reply = connection.request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
        assert_eq!(reply.status(), 418);
        if close {
            assert_eq!(reply.header("connection"), Some("close"));
        }
        connection.send(&format!("{:100}", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        connection.finish_sending();
        assert!(connection.is_closed());
    }
}
