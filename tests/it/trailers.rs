//! Trailers of requests and responses. HTTP-20.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use gateway::testing::{Client, Inline, Outcome};
use gateway::{Chunks, Environ, Gateway, StartResponse, application_fn};
use gateway_tests::{Journal, Script, Server, Step, answer_fn, capture_log, http2};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};

const SUM: HeaderName = HeaderName::from_static("x-sum");

/// Counts the bytes that it sends, and sends the number as a trailer.
#[expect(clippy::needless_pass_by_value, reason = "the signature of an application")]
fn counting<'r>(_: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
    start_response("200 OK", &[])?;
    let sum = Rc::new(Cell::new(0));
    let total = Rc::clone(&sum);
    let chunks = ["ab", "cde"].into_iter().inspect(move |chunk| sum.set(sum.get() + chunk.len()));
    let fields = move || Ok(HeaderMap::from_iter([(SUM, HeaderValue::from(total.get()))]));
    Ok(Chunks::new(chunks).with_trailers([SUM], fields))
}

/// HTTP-20: on HTTP/1.1, a client that asks for trailers gets them; other clients do not.
#[test]
fn a_client_that_asks_gets_the_trailers_it_was_promised() {
    let server = Server::of(application_fn(counting));
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n");
    let (_, headers) = connection.head();
    assert!(headers.contains(&("trailer".into(), "x-sum".into())), "{headers:?}");
    assert_eq!([connection.chunk(), connection.chunk()], [b"ab".to_vec(), b"cde".to_vec()]);
    assert_eq!(connection.exactly(15), b"0\r\nx-sum: 5\r\n\r\n"[..15]);

    let mut connection = server.connect();
    assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "abcde");
    assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "abcde");
    let mut connection = server.connect();
    assert_eq!(connection.request("GET / HTTP/1.0\r\n\r\n").text(), "abcde");
    let mut connection = server.connect();
    connection.send("HEAD / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n");
    assert_eq!(connection.reply_to_head().status(), 200);
    assert_eq!(connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "abcde");
}

/// HTTP-20: on HTTP/2, in both directions; request trailers are available at the end of the body, and never among the
/// headers.
#[tokio::test(crate = "crate::bounded")]
async fn trailers_travel_both_ways_on_http_2() {
    let app = application_fn(|environ, start_response| {
        let body = environ.input().read_all()?;
        let seen = environ.input().trailers().and_then(|fields| fields.get(SUM)).cloned();
        assert_eq!(environ.get("HTTP_X_SUM"), None);
        start_response("200 OK", &[])?;
        let fields = HeaderMap::from_iter(seen.map(|value| (SUM, value)));
        Ok(Chunks::new([body]).with_trailers([SUM], || Ok(fields)))
    });
    let server = Server::of(app);
    let mut client = http2(server.address()).await;
    for declared in [false, true] {
        let frames = [
            http_body::Frame::data(Bytes::from("hello")),
            http_body::Frame::trailers(HeaderMap::from_iter([(SUM, HeaderValue::from_static("77"))])),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, std::convert::Infallible>)));
        let mut request = http::Request::post(format!("http://{}/", server.address()));
        if declared {
            request = request.header("content-length", 5);
        }
        let response = client.send_request(request.body(body).unwrap()).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().and_then(|fields| fields.get(SUM)), Some(&HeaderValue::from_static("77")));
        assert_eq!(collected.to_bytes(), "hello");
    }
}

/// IN-14, HTTP-20: chunked bodies on HTTP/1.1 may have trailers, too; a body without trailers has none.
#[test]
fn the_trailers_of_a_chunked_body_are_apart_from_its_headers() {
    let app = answer_fn(|environ| {
        let early = environ.input().trailers().is_some();
        environ.input().read_all()?;
        let late = environ.input().trailers().and_then(|fields| fields.get("x-t")?.to_str().ok()).unwrap_or("-");
        Ok([format!("{early} {late}")])
    });
    let server = Server::of(app);
    let mut connection = server.connect();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(connection.request(&format!("{head}3\r\nabc\r\n0\r\n\r\n")).text(), "false -");
    assert_eq!(connection.request(&format!("{head}3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")).text(), "false 1");
    assert_eq!(connection.request(&format!("{head}3\r\nabc\r\n0\r\n\r\n")).text(), "false -");
}

/// HTTP-20: a forbidden trailer, or one that was not announced, is an error of the application.
#[test]
fn a_trailer_is_announced_and_describes_no_framing() {
    let with = |names: Vec<HeaderName>, fields: Vec<HeaderName>| {
        let app = application_fn(move |_, start_response| {
            start_response("200 OK", &[])?;
            let fields = fields.iter().cloned().map(|name| (name, HeaderValue::from(1))).collect();
            Ok(Chunks::new(["body"]).with_trailers(names.clone(), || Ok(fields)))
        });
        capture_log(|| Client::of(Gateway::new(app).executor(Inline::new())).get("/"))
    };
    for name in [http::header::CONTENT_LENGTH, http::header::SET_COOKIE, http::header::TRANSFER_ENCODING] {
        let (response, log) = with(vec![name.clone()], Vec::new());
        assert_eq!((response.status().as_u16(), log.len()), (500, 1), "{name}");
    }
    let (response, log) = with(Vec::new(), vec![SUM]);
    assert_eq!((response.outcome(), log.len()), (Outcome::Aborted, 1));
    assert!(log[0].text.contains("x-sum"), "{log:?}");
}

/// END-07: the trailers are sent after the close, so that a close that fails aborts the message.
#[test]
fn a_failing_close_comes_before_the_trailers() {
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |_, start_response| {
        start_response("200 OK", &[])?;
        let chunks = Chunks::new(Script::new(&noted, &[Step::Chunk("a"), Step::Chunk("b")]).panicking_when_dropped());
        Ok(chunks.with_trailers([SUM], || Ok(HeaderMap::from_iter([(SUM, HeaderValue::from(1))]))))
    });
    let (response, _) = capture_log(|| Client::new(app).get("/"));
    assert_eq!((response.outcome(), response.trailers(), journal.count("close")), (Outcome::Aborted, None, 1));
}

/// IT-08: pieces that are all known get a Content-Length; with trailers the body must be chunked.
#[test]
fn known_pieces_have_their_length_together() {
    for size in [1, 100_000] {
        let app = application_fn(move |_, start_response| {
            start_response("200 OK", &[])?;
            Ok(Chunks::known(vec!["x".repeat(size), "y".repeat(size)])?)
        });
        let server = Server::of(app);
        let reply = server.get("/");
        assert_eq!(reply.header("content-length"), Some((2 * size).to_string().as_str()));
        assert_eq!(reply.body.len(), 2 * size);
        let mut connection = server.connect();
        assert_eq!(connection.request_head("/").header("content-length"), Some((2 * size).to_string().as_str()));
    }
    let contradicting = application_fn(|_, start_response| {
        start_response("200 OK", &[("Content-Length", "5")])?;
        Ok(Chunks::known(vec!["x".repeat(100_000), "y".to_owned()])?)
    });
    assert_eq!(capture_log(|| Client::new(contradicting).get("/")).0.status(), 500);
}

/// ERR-09, END-02: the closure belongs to the application, too; it is dropped like the chunks, wherever the body ends.
#[test]
fn a_closure_that_panics_when_dropped_is_contained() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in the closure");
        }
    }
    let (journal, noted) = Journal::pair();
    let app = application_fn(move |_, start_response| {
        start_response("200 OK", &[])?;
        let panics = PanicsOnDrop;
        let chunks = Chunks::new(Script::new(&noted, &[Step::Fail]));
        Ok(chunks.with_trailers([SUM], move || {
            drop(panics);
            Ok(HeaderMap::new())
        }))
    });
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!((response.status().as_u16(), journal.count("close"), log.len()), (500, 1, 1), "{log:?}");
}

/// HTTP-20, HTTP-12, HTTP-13: if trailers cannot be sent, they are not computed, and the declared length is enforced as
/// usual.
#[test]
fn trailers_that_cannot_go_are_not_computed() {
    let app = application_fn(|environ, start_response| {
        let declared = [("Content-Length", "5")];
        start_response("200 OK", if environ.path_info() == "/declared" { &declared[..] } else { &[] })?;
        let chunks = Chunks::known(["ab", "cde"])?;
        Ok(chunks.with_trailers([SUM], || panic!("computed in vain")))
    });
    let client = Client::new(app);
    let (head, log) = capture_log(|| client.request("HEAD", "/").send());
    assert_eq!((head.status().as_u16(), head.outcome(), log.len()), (200, Outcome::Complete, 0), "{log:?}");
    let (declared, log) = capture_log(|| client.get("/declared"));
    assert_eq!(log.len(), 0, "{log:?}");
    assert_eq!((declared.text().as_str(), declared.headers().get("trailer")), ("abcde", None));

    let contradicting = application_fn(|_, start_response| {
        start_response("200 OK", &[("Content-Length", "4")])?;
        Ok(Chunks::known(["ab", "cde"])?.with_trailers([SUM], || Ok(HeaderMap::new())))
    });
    assert_eq!(capture_log(|| Client::new(contradicting).get("/")).0.status(), 500);
}

/// IT-21: middleware that wraps the chunks keeps the trailers.
#[test]
fn wrapped_chunks_keep_their_trailers() {
    let app = application_fn(|environ, start_response| {
        let chunks = counting(environ, start_response)?;
        Ok(chunks.wrap(|chunks| chunks.map(|chunk| Ok::<_, gateway::Error>(chunk?.to_ascii_uppercase()))))
    });
    let response = Client::new(app).get("/");
    assert_eq!(response.trailers().and_then(|fields| fields.get(SUM)), Some(&HeaderValue::from_static("5")));
    assert_eq!(response.text(), "ABCDE");
}
