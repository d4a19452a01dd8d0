//! axum's extractors in applications.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Path, Query, RawPathParams};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Extension, Router};
use gateway::testing::Client;
use gateway::{Chunks, Pool, application_fn};
use gateway_tests::Server;
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

/// A thread of the pool cannot wait for the runtime.
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

/// What an extractor changes is what the variables are computed from.
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
