//! Unread request bodies, and the bytes that follow them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, StartResponse, application_fn};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::network::{Network, read_to_end, read_until, send};
use super::pool;

fn ignores(_: &mut Environ, start_response: &StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
    start_response("200 OK", &[])?;
    Ok(Chunks::new(["ignored"]))
}

/// Routes that do not read the body, and a route that counts its calls.
fn router() -> (Router, Arc<AtomicUsize>) {
    let smuggled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&smuggled);
    let application = || application_fn(|environ, start_response| ignores(environ, &start_response));
    let fails = application_fn(|_, _| Err(gateway::Error::new("scripted")));
    let router = Router::new()
        .route_service(
            "/application",
            Gateway::new(application()).executor(Inline::new()).read_ahead(0).body_limit(1 << 30),
        )
        .route_service("/fails", Gateway::new(fails).executor(Inline::new()).read_ahead(0).body_limit(1 << 30))
        .route_service("/limited", Gateway::new(application()).executor(Inline::new()).body_limit(1000))
        .route("/async", post(|| async { "ignored" }))
        .route("/get", get(|| async { "for GET alone" }))
        .route(
            "/smuggled",
            get(move || async move {
                counter.fetch_add(1, SeqCst);
                "smuggled"
            }),
        );
    (router, smuggled)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// IN-22: after an answer to an unread request, no further request is served, however long the client delays the body.
/// An idle connection releases its buffers after a second, so some pauses are longer.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn the_body_of_a_refused_request_is_no_request_after_any_pause() {
    let refused = [
        ("/limited", "Host: a\r\n", "413"),
        ("/limited", "Host: a\r\nHost: b\r\n", "400"),
        ("/application", "Host: a\r\n", "200"),
        ("/fails", "Host: a\r\n", "500"),
        ("/async", "Host: a\r\n", "200"),
        ("/get", "Host: a\r\n", "405"),
        ("/nowhere", "Host: a\r\n", "404"),
    ];
    let framings = [
        "Content-Length: 20000000\r\n\r\n",
        "Content-Length: 70\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1312D00\r\n",
    ];
    let (router, smuggled) = router();
    let network = Network::of(router);
    for (target, fields, status) in refused {
        for framing in framings {
            // A request with a declared length is refused unread; the other requests need an application that does not
            // read.
            if status == "413" && !framing.contains("20000000") {
                continue;
            }
            for version in ["1.1", "1.0\r\nConnection: keep-alive"] {
                if version != "1.1" && framing.starts_with("Transfer") {
                    continue;
                }
                for pause in [0, 900, 1100, 2100, 6000] {
                    let case = format!("{target} {fields:?} {framing:?} {version:?} {pause}");
                    let mut client = network.connect(1 << 20);
                    send(&mut client, &format!("POST {target} HTTP/{version}\r\n{fields}{framing}")).await;
                    sleep(Duration::from_millis(pause)).await;
                    send(&mut client, SMUGGLED).await;
                    let begun = Instant::now();
                    let answers = timeout(Duration::from_secs(120), read_to_end(&mut client)).await.expect(&case);
                    assert!(begun.elapsed() < Duration::from_secs(40), "{case}: {:?}", begun.elapsed());
                    assert_eq!(answers.matches("HTTP/1.").count(), 1, "{case}: {answers}");
                    assert!(answers.contains(&format!(" {status} ")), "{case}: {answers}");
                    assert!(answers.contains("connection: close\r\n"), "{case}: {answers}");
                }
            }
        }
    }
    assert_eq!(smuggled.load(SeqCst), 0);
}

/// IN-22: an unread body that has arrived together with its head is discarded, and its connection stays open.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_small_unread_body_that_is_here_costs_nothing() {
    let (router, _) = router();
    let network = Network::of(router);
    for framing in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        for target in ["/application", "/async", "/nowhere", "/get"] {
            let mut client = network.connect(1 << 20);
            for pause in [0, 900, 1100, 6000] {
                send(&mut client, &format!("POST {target} HTTP/1.1\r\nHost: a\r\n{framing}")).await;
                sleep(Duration::from_millis(pause)).await;
                send(&mut client, SMUGGLED).await;
                let answers = read_until(&mut client, "smuggled").await;
                assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{target}: {answers}");
                assert!(!answers.contains("connection: close"), "{target}: {answers}");
            }
        }
    }
}

/// IN-23, HTTP-10: a client that waits for `100 Continue` and receives none gets a response with `Connection: close`.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_client_that_is_not_asked_for_its_body_gets_connection_close() {
    let (router, _) = router();
    // On threads: an application on the runtime cannot request the body, so that `100 Continue` is sent before the
    // call.
    let pool = pool(1, 1);
    let whole = application_fn(|environ, start_response| ignores(environ, &start_response));
    let streams = application_fn(|_, start_response| {
        start_response("200 OK", &[])?.send("ign")?;
        Ok(Chunks::new(["ored"]))
    });
    let router = router
        .route_service("/whole", Gateway::new(whole).pool(&pool))
        .route_service("/streams", Gateway::new(streams).pool(&pool));
    let network = Network::of(router);
    for target in ["/whole", "/streams", "/async", "/nowhere"] {
        for _ in 0..10 {
            let mut client = network.connect(1 << 20);
            let head = "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n";
            send(&mut client, &format!("POST {target} {head}")).await;
            let answer = read_to_end(&mut client).await;
            assert!(answer.contains("connection: close\r\n"), "{target}: {answer}");
            assert!(!answer.contains("100 Continue"), "{target}: {answer}");
        }
    }
}

/// IN-17: if its connection is closed, an incomplete chunked body ends in an error, although its bytes so far are
/// valid. hyper reports such a body as complete.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_chunked_body_whose_connection_is_cut_is_not_complete() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let app = post(move |body: Body| {
        tokio::spawn(async move { ends.send(body.collect().await.map(|body| body.to_bytes())) });
        std::future::pending::<&'static str>()
    });
    let (network, listener) = Network::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = gateway::serve(listener, Router::new().route("/", app)).grace(Duration::from_secs(1));
    let report = tokio::spawn(server.with_graceful_shutdown(stopped).run());
    let mut client = network.connect(1024);
    send(&mut client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    sleep(Duration::from_millis(1)).await;
    stop.send(()).expect("the server runs");
    assert_eq!(report.await.expect("runs").expect("stops").connections_cut, 1);
    let body = ended.recv().await.expect("the body was read");
    assert!(body.is_err(), "{body:?}");
}

/// HTTP-10: after malformed trailer fields, no further request is served. hyper treats a trailer line that ends with LF
/// alone as a part of the next line, and would parse the head of the next request as trailers, so that the request
/// after it would get the wrong answer. A body with malformed trailers is a broken body.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn no_request_follows_trailers_that_are_not_in_order() {
    let echo = post(|body: Body| async { body });
    let whole = post(|body: axum::body::Bytes| async move { body });
    let ignored = post(|| async { "ignored" });
    let application = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        let text = environ.input().read_bytes()?;
        Ok(Chunks::new([text]))
    });
    let router = Router::new()
        .route("/echo", echo)
        .route("/whole", whole)
        .route("/ignored", ignored)
        .route_service("/application", Gateway::new(application).executor(Inline::new()))
        .route("/next", get(|| async { "next" }));
    let network = Network::of(router);
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for target in ["/echo", "/whole", "/ignored", "/application"] {
        for (end, is_in_order) in [("0\r\nX-T: 1\n\r\n", false), ("0\r\n\n\r\n", false), ("0\r\nX-T: 1\r\n\r\n", true)]
        {
            let mut client = network.connect(1 << 20);
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{end}");
            send(&mut client, &format!("{head}{next}{next}")).await;
            if is_in_order {
                let answers = read_until(&mut client, "next").await;
                assert!(answers.contains("hello") || target == "/ignored", "{target}: {answers}");
                continue;
            }
            let answers = timeout(Duration::from_secs(60), read_to_end(&mut client)).await;
            let answers = answers.unwrap_or_else(|_| panic!("{target} {end:?} goes on"));
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{target} {end:?}: {answers}");
            assert!(!answers.contains("next"), "{target} {end:?}: {answers}");
            let is_as_meant = match target {
                "/ignored" => answers.ends_with("ignored"),
                "/echo" => !answers.ends_with("0\r\n\r\n"),
                _ => answers.starts_with("HTTP/1.1 400 ") && !answers.contains("hello"),
            };
            assert!(is_as_meant, "{target} {end:?}: {answers}");
        }
    }
}

/// RFC 9112 §2.2: an empty line before a request is ignored; a CR without LF is not an empty line.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_request_after_a_bare_cr_is_refused() {
    let (router, _) = router();
    let network = Network::of(router);
    for (before, status) in
        [("\r\n", "200"), ("\n", "200"), ("\r\n\r\n", "200"), ("\r", "400"), ("\r\r\n", "400"), ("\r\n\r", "400")]
    {
        let mut client = network.connect(1 << 16);
        send(&mut client, before).await;
        sleep(Duration::from_millis(10)).await;
        send(&mut client, "GET /get HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{before:?}: {answer}");
    }
}
