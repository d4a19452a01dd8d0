//! Blocking handlers: fns with axum's extractors, on a pool.

mod bodies;
mod contained;
mod extractors;
mod input_end;
mod left_bodies;
mod lists;
mod passed;
mod passed_deadline;
mod passed_record;
mod rejections;
mod streamed;

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use gateway::{Gateway, Pool};
use gateway_tests::{Gate, Server, capture_events, capture_failures, until};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
struct Names(Vec<String>);

#[derive(Deserialize)]
struct Page {
    from: usize,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Note {
    text: String,
}

fn list(State(Names(names)): State<Names>, Query(page): Query<Page>) -> Json<Vec<String>> {
    Json(names.into_iter().skip(page.from).collect())
}

fn read(State(Names(names)): State<Names>, Path(id): Path<usize>) -> Result<String, StatusCode> {
    names.get(id).cloned().ok_or(StatusCode::NOT_FOUND)
}

fn create(Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
    (StatusCode::CREATED, Json(note))
}

fn pool() -> Pool {
    Pool::builder().threads(2).build().unwrap()
}

fn notes(pool: &Pool) -> Router {
    Router::new()
        .route("/notes", get(pool.handler(list)).post(pool.handler(create)))
        .route("/notes/{id}", get(pool.handler(read)))
        .with_state(Names(vec!["one".to_owned(), "two".to_owned()]))
}

#[test]
fn a_handler_has_the_extractors_and_the_responses_of_axum() {
    let pool = pool();
    let server = Server::of(notes(&pool));
    let reply = server.get("/notes?from=1");
    assert_eq!((reply.status(), reply.text().as_str()), (200, r#"["two"]"#));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("content-length"), Some("7"));
    assert_eq!((server.get("/notes/0").text(), server.get("/notes/7").status()), ("one".to_owned(), 404));
    let created = server.connect().request(
        "POST /notes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"text\":\"a\"}",
    );
    assert_eq!((created.status(), created.text().as_str()), (201, r#"{"text":"a"}"#));
    until("the thread is idle", || pool.stats().busy == 0);
    assert_eq!(pool.stats().completed, 4);
}

/// Without arguments, and with sixteen.
#[test]
fn a_handler_has_up_to_sixteen_arguments() {
    type Head = (Method, Uri, HeaderMap);
    fn none() -> &'static str {
        "none"
    }
    #[expect(clippy::too_many_arguments, reason = "the most that a handler may have")]
    #[expect(clippy::needless_pass_by_value, reason = "extractors are values")]
    fn sixteen(
        first: Method,
        (_, uri, _): Head,
        _: Uri,
        _: HeaderMap,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        _: Head,
        Extension(last): Extension<u8>,
        body: String,
    ) -> String {
        format!("{first} {uri} {last} {body}")
    }
    let pool = pool();
    let router = Router::new().route("/none", get(pool.handler(none))).route("/sixteen", any(pool.handler(sixteen)));
    let server = Server::of(router.layer(Extension(7_u8)));
    assert_eq!(server.get("/none").text(), "none");
    let reply = server.connect().request("PUT /sixteen HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(reply.text(), "PUT /sixteen 7 body");
}

/// The fn runs on a thread of the pool; its extractors do not.
#[test]
fn a_handler_runs_on_the_pool_and_its_extractors_on_the_runtime() {
    struct ThreadName(String);
    impl<S: Send + Sync> axum::extract::FromRequestParts<S> for ThreadName {
        type Rejection = std::convert::Infallible;
        async fn from_request_parts(_: &mut axum::http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
            tokio::task::yield_now().await;
            Ok(Self(std::thread::current().name().unwrap_or_default().to_owned()))
        }
    }
    fn threads(ThreadName(extractor): ThreadName) -> String {
        format!("{extractor} {}", std::thread::current().name().unwrap_or_default())
    }
    let pool = Pool::builder().threads(1).name("blocking").build().unwrap();
    let names = Server::of(Router::new().route("/", get(pool.handler(threads)))).get("/").text();
    let (extractor, handler) = names.split_once(' ').unwrap();
    assert!(handler == "blocking-1" && !extractor.starts_with("blocking"), "{names}");
}

/// POOL-07, ERR-01, POOL-08: admission, panics and the queue timeout are those of applications.
#[test]
fn a_handler_is_admitted_and_contained_like_an_application() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = Pool::builder().threads(1).queue(0).build().unwrap();
    let waits = move || {
        waiter.pass("waits");
        "done"
    };
    fn panics() -> &'static str {
        panic!("as the test wants")
    }
    let router = Router::new().route("/waits", get(pool.handler(waits))).route("/panics", get(pool.handler(panics)));
    let server = Server::of(router);
    let mut first = server.connect();
    first.send("GET /waits HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(gate.await_call(), "waits");
    let refused = server.get("/panics");
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(first.reply().text(), "done");
    until("the thread is idle", || pool.stats().busy == 0);
    assert_eq!(server.get("/panics").status(), 500);
    until("the thread is idle", || pool.stats().busy == 0);
    assert_eq!((pool.stats().completed, pool.stats().shed), (2, 1));
}

/// POOL-24: a handler that exceeds its deadline gets 504, like an application.
#[tokio::test(crate = "crate::bounded", start_paused = true)]
async fn a_handler_has_the_settings_of_its_gateway() {
    use tower::ServiceExt as _;

    let gate = Gate::new();
    let waiter = gate.waiter();
    let pool = pool();
    let api = pool.gateway().deadline(Duration::from_secs(3)).error_page(|_, _| "mine".into());
    let late = api.handler(move || {
        waiter.pass("late");
        "late"
    });
    let router = Router::new().route("/", get(late));
    let request = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let start = tokio::time::Instant::now();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (504, 3));
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "mine");
    gate.open();
}

/// LOG-12: a handler has a span and an access record; it is named after its path.
#[test]
fn a_handler_is_on_record_under_the_path_of_its_fn() {
    fn quiet() -> Html<&'static str> {
        Html("quiet")
    }
    let pool = pool();
    let handler = pool.handler(quiet);
    let ((), log) = capture_events(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use tower::ServiceExt as _;
            let request = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
            let response = Router::new().route("/", get(handler)).oneshot(request).await.unwrap();
            axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        });
    });
    let record = log.iter().find(|event| event.text.contains("outcome=complete")).expect("an access record");
    assert!(record.text.contains("status=200") && record.text.contains("bytes=5"), "{}", record.text);
}

/// LOG-05: in a program that logs only failures, the failure of a handler has the path and the mount of its request.
#[test]
fn a_failure_of_a_handler_has_its_span_even_if_successes_are_not_logged() {
    use tower::ServiceExt as _;

    fn fails() -> gateway::Result<()> {
        Err(gateway::Error::new("trouble"))
    }
    let api = pool().gateway().executor(gateway::testing::Inline::new());
    let router = Router::new().nest("/api", Router::new().route("/fails/{id}", get(api.handler(fails))));
    let (status, log) = capture_failures(|| {
        gateway_tests::block_on(async {
            let request = axum::http::Request::get("/api/fails/7").body(axum::body::Body::empty()).unwrap();
            router.oneshot(request).await.unwrap().status()
        })
    });
    assert_eq!((status.as_u16(), log.len()), (500, 1));
    let span = &log[0].span;
    let names = ["path=/api/fails/7 ", "mount=\"/api\"", "route=\"/api/fails/{id}\""];
    assert!(names.iter().all(|name| span.contains(name)), "{span}");
}

/// An application can be mounted like a handler, for a method and with layers.
#[test]
fn a_gateway_is_a_handler() {
    let app = gateway::application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(gateway::Chunks::new([format!("{} {}", environ.method(), environ.path_info())]))
    });
    let pool = pool();
    let router = Router::new().route("/report", get(pool.mount(app)));
    let server = Server::of(router);
    assert_eq!(server.get("/report").text(), "GET /report");
    assert_eq!(server.connect().request("POST /report HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").status(), 405);
}

/// Layers see the extensions of a handler's response.
#[test]
fn layers_see_the_extensions_of_a_response() {
    #[derive(Clone)]
    struct Rows(usize);
    fn rows() -> impl IntoResponse {
        (Extension(Rows(3)), "rows")
    }
    async fn show(response: axum::response::Response) -> String {
        response.extensions().get::<Rows>().map_or_else(String::new, |Rows(rows)| rows.to_string())
    }
    let router = Router::new().route("/", get(pool().handler(rows))).layer(axum::middleware::map_response(show));
    assert_eq!(Server::of(router).get("/").text(), "3");
}

/// HTTP-04: the response to HEAD has the length and no body.
#[test]
fn a_head_request_gets_the_length_alone() {
    let server = Server::of(notes(&pool()));
    let mut connection = server.connect();
    let head = connection.request_head("/notes?from=0");
    assert_eq!((head.status(), head.header("content-length"), head.text().as_str()), (200, Some("13"), ""));
    connection.send("GET /notes/0 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(connection.reply().text(), "one");
}

/// A gateway for handlers only has no application.
#[test]
fn a_gateway_without_an_application_answers_404() {
    let reply = Server::of::<Gateway>(pool().gateway()).get("/");
    assert_eq!((reply.status(), reply.text().as_str()), (404, "no application is mounted here\n"));
}
