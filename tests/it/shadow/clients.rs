//! The answers that clients get, and when they get them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use gateway::migration::{Migration, Shadow};
use gateway::testing::Inline;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{Server, until};
use http::Response;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _};

use super::{answers, counting, differences, request, settled, text};

/// BP-01: the primary's body is polled as the client polls, and is passed on unchanged.
#[test]
fn the_primarys_body_streams_at_the_clients_pace() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pulled);
    let primary = answers(move || {
        let counter = Arc::clone(&counter);
        let frames = stream::iter(0..4).map(move |number| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from(format!("{number}")))
        });
        Response::new(Body::from_stream(frames))
    });
    let calls = Arc::default();
    let shadow = Shadow::new(counting(&calls)).body_limit(2);
    differences(async {
        let answer = shadow.clone().layer(primary).call(request("GET", "/")).await.unwrap();
        let mut body = answer.into_body();
        for number in 0..4 {
            assert_eq!(pulled.load(Ordering::SeqCst), number);
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), number.to_string());
            // The third frame exceeds the comparison limit, and the shadow then waits for no further frame.
            if number == 2 {
                settled(&shadow, 1).await;
            }
            assert_eq!(calls.load(Ordering::SeqCst), usize::from(number >= 2));
        }
        assert!(body.frame().await.is_none());
    });
}

/// After a disconnect, or an aborted answer, there is no answer to compare with.
#[test]
fn what_did_not_reach_the_client_is_skipped() {
    let primary = answers(|| {
        let frames = [Ok(Bytes::from("half")), Err(std::io::Error::other("scripted failure"))];
        Response::new(Body::from_stream(stream::iter(frames)))
    });
    let calls = Arc::default();
    let shadow = Shadow::new(counting(&calls)).in_flight(1);
    differences(async {
        let mut service = shadow.clone().layer(primary);
        drop(service.call(request("GET", "/")));
        assert_eq!(shadow.counts().skipped, 1);
        drop(service.call(request("GET", "/")).await.unwrap());
        assert_eq!(shadow.counts().skipped, 2);
        let answer = service.call(request("GET", "/")).await.unwrap();
        assert!(answer.into_body().collect().await.is_err());
        assert_eq!(shadow.counts().skipped, 3);
    });
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

/// The properties that servers read from a body before they poll it are preserved.
#[test]
fn the_length_of_a_body_stays_known() {
    let shadow = Shadow::new(text("same"));
    differences(async {
        let answer = shadow.clone().layer(text("same")).call(request("GET", "/")).await.unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(4));
        let mut body = answer.into_body();
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert!(matches!(frame, Some(Ok(_))) && body.is_end_stream());
        // hyper polls no further.
        assert_eq!(settled(&shadow, 1).await.compared, 1);
        let empty = shadow.clone().layer(text("")).call(request("GET", "/")).await.unwrap();
        assert!(empty.body().is_end_stream());
        assert_eq!(settled(&shadow, 2).await.differing, 1);
    });
}

/// Over a socket, with gateways on both sides: any end of a response is detected.
#[test]
fn every_kind_of_response_is_compared() {
    let gateway = || {
        Gateway::new(application_fn(|environ, start_response| {
            let (status, headers): (_, &[_]) = match environ.path_info() {
                "/204" => ("204 No Content", &[]),
                "/304" => ("304 Not Modified", &[("ETag", "\"1\"")]),
                "/declared" => ("200 OK", &[("Content-Length", "6")]),
                _ => ("200 OK", &[("Content-Type", "text/plain")]),
            };
            start_response(status, headers)?;
            Ok(match environ.path_info() {
                "/whole" => Chunks::new(["abcdef"]),
                "/declared" | "/streamed" => Chunks::new(vec!["abc", "def"]),
                _ => Chunks::empty(),
            })
        }))
    };
    let shadow = Shadow::new(gateway().executor(Inline::new()));
    let server = Server::of(Router::new().fallback_service(shadow.clone().layer(gateway())));
    let mut shown = 0;
    for path in ["/whole", "/declared", "/streamed", "/empty", "/204", "/304"] {
        for method in ["GET", "HEAD"] {
            let mut connection = server.connect();
            connection.send(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let reply = if method == "GET" { connection.reply() } else { connection.reply_to_head() };
            assert!([200, 204, 304].contains(&reply.status()), "{path}");
            shown += 1;
            // The client has its answer, so the shadow has been called by now, or will be called without the client.
            until("the request is compared", || shadow.counts().compared + shadow.counts().skipped == shown);
            assert_eq!((shadow.counts().skipped, shadow.counts().differing), (0, 0), "{method} {path}");
        }
    }
    // An upgraded connection has one owner.
    let upgrade = "GET /whole HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: thing\r\n\r\n";
    assert_eq!(server.connect().request(upgrade).text(), "abcdef");
    assert_eq!(server.get("/whole").text(), "abcdef");
    until("the last request is compared", || shadow.counts().compared == shown + 1);
}

/// Before and after the migration of a route: the legacy application as primary, and as shadow.
#[test]
fn a_shadow_wraps_either_side_of_a_migration() {
    let old = || {
        let app = application_fn(|environ, start_response| {
            start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
            Ok(Chunks::new([format!("{}|{}", environ.script_name(), environ.path_info())]))
        });
        Gateway::new(app).executor(Inline::new())
    };
    let before = Shadow::new(get(|| async { "/shop|/before" }));
    let after = Shadow::new(old());
    let shop: Router<&str> = Migration::new(old())
        .route_service("/before", before.clone().layer(old()))
        .route("/after", get(|| async { "/shop|/after" }).layer(after.clone()))
        .into_router();
    let shop = Router::new().nest_service("/shop", shop.with_state("state"));
    let said = differences(async {
        for (method, path) in [("GET", "/shop/before"), ("GET", "/shop/after"), ("POST", "/shop/after")] {
            let request =
                http::Request::builder().method(method).uri(path).header("host", "h").body(Body::empty()).unwrap();
            let answer = shop.clone().call(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), path.replacen("/shop", "/shop|", 1));
        }
        assert_eq!(settled(&before, 1).await.differing, 0);
        assert_eq!(settled(&after, 1).await.differing, 0);
    });
    assert_eq!(said, [""; 0]);
}

/// The shadow's future does not affect the client: it is created only after the client has its answer.
#[test]
fn the_shadow_is_asked_when_the_client_has_its_answer() {
    let calls = Arc::default();
    let (release, mut released) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let frames = Arc::new(Mutex::new(Some(stream::poll_fn(move |cx| {
        let next: Poll<Option<&str>> = released.poll_recv(cx);
        next.map(|frame| frame.map(|frame| Ok::<_, Infallible>(Bytes::from(frame))))
    }))));
    let primary =
        answers(move || Response::new(Body::from_stream(frames.lock().unwrap().take().expect("one request"))));
    let shadow = Shadow::new(counting(&calls));
    differences(async {
        let answer = shadow.clone().layer(primary).call(request("GET", "/")).await.unwrap();
        let mut body = answer.into_body();
        release.send("sa").unwrap();
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().now_or_never().is_none());
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        release.send("me").unwrap();
        drop(release);
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        assert_eq!(settled(&shadow, 1).await.compared, 1);
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
