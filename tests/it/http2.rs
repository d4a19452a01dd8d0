//! HTTP/2, with prior knowledge.

use std::sync::mpsc;

use bytes::Bytes;
use gateway::{Chunks, application_fn};
use gateway_tests::{Journal, Script, Server, Step, http2, recv, write_until_refused};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

fn request(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://example.org:81{path}")).header("cookie", "a=1").header("cookie", "b=2");
    request.body(Empty::new()).unwrap()
}

async fn get(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> Response<Incoming> {
    client.send_request(request(path)).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The stream is reset with an internal error. The reset may overtake bytes in transit, including the head.
async fn assert_reset(answer: impl Future<Output = hyper::Result<Response<Incoming>>>) {
    let error = match answer.await {
        Err(error) => error,
        Ok(response) => response.into_body().collect().await.expect_err("the stream ended as if it were complete"),
    };
    let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(reason.contains("internal error"), "{reason}");
}

/// ENV-16, ENV-19, ENV-22, ENV-34.
#[tokio::test(crate = "crate::bounded")]
async fn the_authority_is_the_host_and_cookie_crumbs_make_one_cookie() {
    // axum's server does not provide its address.
    let server = Server::with_axum(application_fn(|environ, start_response| {
        start_response("200 Quite Fine", &[])?;
        let keys = ["SERVER_PROTOCOL", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "HTTP_COOKIE", "REQUEST_URI"];
        assert!(environ.iter().any(|(key, value)| key == "HTTP_HOST" && value == "example.org:81"));
        Ok(Chunks::new([keys.map(|key| environ.get(key).unwrap_or("-")).join("|")]))
    }));
    let mut client = http2(server.address()).await;
    let response = get(&mut client, "/p?q").await;
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "HTTP/2.0|example.org:81|example.org|81|a=1; b=2|/p?q");
}

/// ERR-05, ERR-14, HTTP-17: a failure resets only its own stream.
#[tokio::test(crate = "crate::bounded")]
async fn a_failure_resets_its_stream_alone() {
    let (journal, noted) = Journal::pair();
    let server = Server::of(application_fn(move |environ, start_response| {
        start_response("200 OK", &[])?;
        if environ.path_info() == "/fine" {
            return Ok(Chunks::new(["fi", "ne"]));
        }
        Ok(Chunks::new(Script::new(&noted, &[Step::Chunk("AAAA"), Step::Fail])))
    }));
    let mut client = http2(server.address()).await;
    for _ in 0..20 {
        let failing = client.send_request(request("/"));
        let fine = get(&mut client, "/fine").await;
        assert_reset(failing).await;
        assert_eq!(text(fine).await, "fine");
    }
    assert_eq!(journal.count("close"), 20);
}

/// DISC-09: the cancellation of a stream stops only the application of that stream.
#[tokio::test(crate = "crate::bounded")]
async fn one_stream_is_cancelled_alone() {
    let (report, reported) = mpsc::channel();
    let server = Server::of(application_fn(move |environ, start_response| {
        let write = start_response("200 OK", &[])?;
        if environ.path_info() == "/fine" {
            return Ok(Chunks::new(vec!["x".repeat(10_000); 100]));
        }
        let error = write_until_refused(&write);
        report.send((error.is_disconnected(), environ.client_disconnected()))?;
        Err(error.into())
    }));
    let mut client = http2(server.address()).await;
    let cancelled = get(&mut client, "/").await;
    let fine = get(&mut client, "/fine").await;
    drop(cancelled);
    let seen = tokio::task::spawn_blocking(move || recv(&reported)).await.unwrap();
    assert_eq!(seen, (true, true));
    assert_eq!(text(fine).await.len(), 1_000_000);
}

/// HTTP-11, HTTP-12: the rules for lengths apply on HTTP/2, too.
#[tokio::test(crate = "crate::bounded")]
async fn a_declared_length_is_kept_or_the_stream_is_reset() {
    let server = Server::of(application_fn(|environ, start_response| {
        start_response("200 OK", &[("Content-Length", "5")])?;
        Ok(Chunks::new(if environ.path_info() == "/long" { ["hel", "loWORLD"] } else { ["he", "l"] }))
    }));
    let mut client = http2(server.address()).await;
    assert_eq!(text(get(&mut client, "/long").await).await, "hello");
    assert_reset(client.send_request(request("/short"))).await;
}
