//! The access record as one line of text, in the format of programs.

use axum::Router;
use axum::routing::get;
use gateway::Gateway;
use gateway::testing::Inline;
use gateway_tests::{Sink, answer_fn, block_on};
use serde_json::Value;
use tower::ServiceExt as _;
use tracing::Subscriber;
use tracing_subscriber::fmt::format::FmtSpan;

/// The lines that a subscriber writes about one request for `/users/7`.
fn logged<S: Subscriber + Send + Sync>(subscriber: impl FnOnce(Sink) -> S) -> Vec<String> {
    let app = answer_fn(|_| Ok(["hello"]));
    let users = Router::new().route("/users/{id}", get(Gateway::new(app).executor(Inline::new())));
    let request = http::Request::get("/api/users/7").body(axum::body::Body::empty()).unwrap();
    let lines = Sink::default();
    tracing::subscriber::with_default(subscriber(lines.clone()), || {
        let response = block_on(Router::new().nest("/api", users).oneshot(request)).unwrap();
        block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
    });
    let text = lines.text();
    text.lines().map(str::to_owned).collect()
}

const FIELDS: [&str; 11] = [
    "request_id",
    "method",
    "path",
    "mount",
    "route",
    "status",
    "bytes",
    "duration_ms",
    "queue_ms",
    "run_ms",
    "outcome",
];

/// LOG-12.
#[test]
fn no_field_is_twice_in_a_line_of_text() {
    let compact = |lines| tracing_subscriber::fmt().compact().with_ansi(false).with_writer(lines).finish();
    let full = |lines| tracing_subscriber::fmt().with_ansi(false).with_writer(lines).finish();
    for lines in [logged(full), logged(compact)] {
        assert_eq!(lines.len(), 1, "{lines:?}");
        for field in FIELDS {
            let count = lines[0].split([' ', '{']).filter(|word| word.starts_with(&format!("{field}="))).count();
            assert_eq!(count, 1, "{field} in {}", lines[0]);
        }
        for words in [
            "path=/api/users/7 ",
            "mount=\"/api\" route=\"/api/users/{id}\"",
            "status=200 bytes=5 ",
            "outcome=complete",
        ] {
            assert!(lines[0].contains(words), "{words} in {}", lines[0]);
        }
    }
}

/// LOG-12.
#[test]
fn no_field_is_twice_in_a_line_of_json() {
    let json = |flat| {
        move |lines| {
            let subscriber = tracing_subscriber::fmt().json().flatten_event(flat).with_span_list(false);
            subscriber.with_writer(lines).finish()
        }
    };
    for flat in [false, true] {
        let lines = logged(json(flat));
        assert_eq!(lines.len(), 1, "{lines:?}");
        for field in FIELDS {
            assert_eq!(lines[0].matches(&format!("\"{field}\":")).count(), 1, "{field} in {}", lines[0]);
        }
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["span"]["route"], "/api/users/{id}");
        let record = if flat { &line } else { &line["fields"] };
        assert_eq!((&record["status"], &record["outcome"]), (&Value::from(200), &Value::from("complete")));
    }
}

/// LOG-12: the span of a request has the same fields, for programs that export spans.
#[test]
fn the_span_of_a_request_says_how_it_ended() {
    let lines = logged(|lines| {
        let subscriber = tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE);
        subscriber.with_ansi(false).with_writer(lines).finish()
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    let fields = lines[1].split_once("{id}\" ").unwrap().1.split_once("}: ").unwrap().0;
    let names: Vec<&str> = fields.split_whitespace().map(|field| field.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["status", "bytes", "outcome", "queue_ms", "run_ms"], "{}", lines[1]);
    assert!(fields.starts_with("status=200 bytes=5 outcome=complete "), "{}", lines[1]);
}

/// If a program logs the records without the spans, a record still has the route.
#[test]
fn a_record_without_a_span_says_its_route() {
    let lines = logged(|lines| {
        let filter = tracing_subscriber::EnvFilter::new("off,gateway::access=info");
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(lines).finish()
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("gateway::access: route=\"/api/users/{id}\" status=200 "), "{}", lines[0]);
}
