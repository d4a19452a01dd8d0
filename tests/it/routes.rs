//! The route of a request, in its events.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use gateway::testing::Inline;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{block_on, capture_events, capture_failures};
use tower::ServiceExt as _;

fn fails(Path(id): Path<u64>) -> gateway::Result<String> {
    Err(gateway::Error::new(format!("no user {id}")))
}

/// An application and a handler on routes, and an application as the fallback.
fn site() -> Router {
    let app = application_fn(|_, _| Err::<Chunks<'_>, _>(gateway::Error::new("trouble")));
    let gateway = Gateway::new(app).executor(Inline::new());
    let routes =
        Router::new().route("/users/{id}", get(gateway.handler(fails))).route("/files/{*path}", get(gateway.clone()));
    Router::new().nest("/api", routes).nest_service("/old", gateway.clone()).fallback_service(gateway)
}

fn send(path: &str) {
    let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
    let response = block_on(site().oneshot(request)).unwrap();
    block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
}

const REQUESTS: [(&str, &str); 4] = [
    ("/api/users/7", "path=/api/users/7 mount=\"/api\" route=\"/api/users/{id}\" "),
    ("/api/files/a/b", "path=/api/files/a/b mount=\"/api\" route=\"/api/files/{*path}\" "),
    ("/old/a", "path=/old/a mount=\"/old\" "),
    ("/a", "path=/a mount=\"/\" "),
];

/// LOG-05: the route is the router's pattern, so that the requests of one route can be counted.
#[test]
fn every_event_names_the_route_of_its_request() {
    for (path, identity) in REQUESTS {
        let ((), events) = capture_events(|| send(path));
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events.iter().all(|event| event.span.ends_with(identity)), "{path}: {events:?}");
    }
}

/// LOG-05: the same in a program that logs only failures.
#[test]
fn a_failure_names_its_route_even_if_successes_are_not_logged() {
    for (path, identity) in REQUESTS {
        let ((), events) = capture_failures(|| send(path));
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].span.ends_with(identity), "{path}: {events:?}");
    }
}
