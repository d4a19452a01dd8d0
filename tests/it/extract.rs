//! axum's extractors in applications.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Path, Query, RawPathParams};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Extension, Router};
use gateway::testing::{Client, Inline};
use gateway::{Application, Chunks, Gateway, Pool, application_fn};
use gateway_tests::{Server, capture_log};
use serde::Deserialize;

#[derive(Deserialize)]
struct Page {
    from: usize,
}

#[test]
fn extractors_of_the_head_work_in_an_application() {
    let app = application_fn(|environ, start_response| {
        let Path(id) = environ.extract::<Path<i64>>()?;
        let Query(page) = environ.extract::<Query<Page>>()?;
        let matched = environ.extract::<MatchedPath>()?;
        let Extension(word) = environ.extract::<Extension<&str>>()?;
        let ConnectInfo(peer) = environ.extract::<ConnectInfo<SocketAddr>>()?;
        let parameters = environ.extract::<RawPathParams>()?;
        let names: Vec<_> = parameters.iter().map(|(name, _)| name.to_owned()).collect();
        start_response("200 OK", &[])?;
        let matched = matched.as_str();
        Ok(Chunks::new([format!("{id} {} {matched} {word} {} {names:?}", page.from, peer.ip())]))
    });
    let pool = Pool::builder().threads(1).build().unwrap();
    let router = Router::new().route("/notes/{id}", get(pool.mount(app))).layer(Extension("word"));
    let server = Server::of(router);
    assert_eq!(server.get("/notes/-7?from=3").text(), "-7 3 /notes/{id} word 127.0.0.1 [\"id\"]");
    let (path, query) = (server.get("/notes/x?from=3"), server.get("/notes/7"));
    assert_eq!((path.status(), path.text().contains("Cannot parse `x` to a `i64`")), (400, true), "{}", path.text());
    assert_eq!((query.status(), query.text().contains("missing field `from`")), (400, true), "{}", query.text());
}

#[test]
fn a_rejection_can_be_handled() {
    let app = application_fn(|environ, start_response| {
        let from = environ.extract::<Query<Page>>().map_or(0, |Query(page)| page.from);
        start_response("200 OK", &[])?;
        Ok(Chunks::new([from.to_string()]))
    });
    assert_eq!(Client::new(app).get("/?from=x").text(), "0");
}

/// A pool thread cannot wait for the runtime.
#[test]
fn an_extractor_that_waits_is_an_error_that_names_it() {
    #[derive(Debug)]
    struct Session;
    impl FromRequestParts<()> for Session {
        type Rejection = Infallible;
        async fn from_request_parts(_: &mut Parts, (): &()) -> Result<Self, Infallible> {
            tokio::task::yield_now().await;
            Ok(Self)
        }
    }
    let app = application_fn(|environ, _| {
        environ.extract::<Session>()?;
        Ok(Chunks::empty())
    });
    let response = Client::new(app).get("/");
    assert_eq!(response.status(), 500);
    let failure = response.failure().unwrap();
    assert!(failure.contains("Session` waits"), "{failure}");
}

#[derive(Deserialize)]
struct Note {
    text: String,
}

/// Answers with the text of a note, and the rest of the input.
fn notes() -> impl Application {
    application_fn(|environ, start_response| {
        let Note { text } =
            if environ.path_info() == "/form" { environ.form::<Note>()? } else { environ.json::<Note>()? };
        let rest = environ.input().read_all()?.len();
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{text} {rest}")]))
    })
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_body_is_checked_and_rejected_as_by_the_extractors_of_axum() {
    let client = Client::new(notes());
    let post = |path: &str, kind: &str, body: &'static str| {
        let response = client.request("POST", path).header("content-type", kind).body(body).body_frames(3).send();
        (response.status().as_u16(), response.text())
    };
    let json = "application/json; charset=utf-8";
    assert_eq!(post("/json", json, "{\"text\":\"caf\u{e9}\"}"), (200, "caf\u{e9} 0".to_owned()));
    assert_eq!(post("/form", FORM, "text=caf%C3%A9+x"), (200, "caf\u{e9} x 0".to_owned()));
    let cases = [
        (post("/json", json, "{\"text\": 1}"), 422, "expected a string at line 1 column 10"),
        (post("/json", json, "{\"text\""), 400, "EOF while parsing an object at line 1 column 7"),
        (post("/json", "text/plain", "{}"), 415, "Content-Type: application/json"),
        (post("/form", FORM, "name=x"), 422, "missing field `text`"),
        (post("/form", "text/plain", "text=x"), 415, FORM),
    ];
    for ((status, text), expected, part) in cases {
        assert!(status == expected && text.contains(part), "{status} {text}");
    }
    assert_eq!(client.get("/form?text=query").text(), "query 0");
}

/// Another content type is rejected before the body is read, and the application may then read the body.
#[test]
fn a_body_that_is_rejected_unread_can_still_be_read() {
    let app = application_fn(|environ, start_response| {
        let rejected = environ.json::<Note>().is_err();
        let body = environ.input().read_all()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{rejected} {}", body.len())]))
    });
    assert_eq!(Client::new(app).post("/", "text").text(), "true 4");
}

/// IN-08, IN-10: the body limit is the mount's, and not axum's.
#[test]
fn a_body_that_cannot_be_read_is_the_error_of_the_input() {
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(3 << 20));
    let post = |client: &Client| client.request("POST", "/").header("content-type", "application/json");
    let client = Client::new(notes());
    assert_eq!(post(&client).body(body.clone()).send().status(), 200);
    assert_eq!(post(&client).body(body.clone()).cut_body_after(9).send().status(), 400);
    let limited = Client::of(Gateway::new(notes()).executor(Inline::new()).body_limit(20));
    assert_eq!(post(&limited).body(body.clone()).send().status(), 413);
    let server = Server::of(Gateway::new(notes()).body_limit(20));
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = &body[..40];
    assert_eq!(server.connect().request(&format!("{head}28\r\n{chunk}\r\n0\r\n\r\n")).status(), 413);
}

/// ENV-02: the CGI variables have one character for each byte.
#[test]
fn the_path_is_text_and_the_variables_are_bytes() {
    let app = application_fn(|environ, start_response| {
        let path = environ.path()?.into_owned();
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{path} {}", environ.path_info().chars().count())]))
    });
    let client = Client::new(app);
    assert_eq!(client.get("/caf%C3%A9%252f?x").text(), "/caf\u{e9}%2f 9");
    let (response, log) = capture_log(|| client.get("/caf%E9"));
    assert_eq!((response.status().as_u16(), response.text().as_str()), (400, "the path is not UTF-8\n"));
    assert!(log.is_empty(), "{log:?}");
}

/// The variables are computed from the request that the extractors have changed.
#[test]
fn the_variables_follow_what_an_extractor_changes() {
    struct Renamed;
    impl FromRequestParts<()> for Renamed {
        type Rejection = Infallible;
        async fn from_request_parts(parts: &mut Parts, (): &()) -> Result<Self, Infallible> {
            parts.uri = "/n%20w".parse().unwrap();
            Ok(Self)
        }
    }
    let app = application_fn(|environ, start_response| {
        let before = environ.path_info().to_owned();
        environ.extract::<Renamed>()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new([format!("{before} {}", environ.path_info())]))
    });
    assert_eq!(Client::new(app).get("/%6fld%20").text(), "/old  /n w");
}
