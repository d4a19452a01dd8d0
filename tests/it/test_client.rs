//! The features of `gateway::testing` beyond a single application: routers, cookies, typed bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use gateway::testing::{Client, MultipartForm, Outcome};
use gateway::{Chunks, Environ, Input, Pool, StartResponse, Streamed, application_fn, wsgi_app};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
    stars: u8,
}

fn pool() -> Pool {
    Pool::builder().threads(1).build().unwrap()
}

fn client(path: &str, method: axum::routing::MethodRouter) -> Client {
    Client::router(Router::new().route(path, method))
}

/// Routes, methods, state, layers and async routes work as in the router.
#[test]
fn a_client_of_a_router_sees_what_a_server_would_send() {
    let pool = pool();
    let read = |State(names): State<Vec<String>>, Extension(suffix): Extension<&str>| format!("{}{suffix}", names[0]);
    let router = Router::new()
        .route("/name", get(pool.handler(read)))
        .route("/async", get(async || "async"))
        .layer(Extension("!"))
        .with_state(vec!["Ada".to_owned()]);
    let client = Client::router(router);
    assert_eq!((client.get("/name").text(), client.get("/async").text()), ("Ada!".to_owned(), "async".to_owned()));
    assert_eq!(
        (client.get("/none").status(), client.post("/name", "").status()),
        (404.try_into().unwrap(), 405.try_into().unwrap())
    );
    let head = client.request("HEAD", "/name").send();
    assert_eq!((head.headers()["content-length"].to_str().unwrap(), head.bytes().len()), ("4", 0));
}

/// Tasks of handlers continue between requests, and after the client's thread has ended: the client owns the runtime.
#[test]
fn a_task_of_a_handler_runs_between_the_requests() {
    let done = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&done);
    let start = async move || {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            noted.store(true, Ordering::Relaxed);
        });
    };
    let client = client("/", get(start));
    assert_eq!(client.get("/").status(), 200);
    gateway_tests::until("the task is done", || done.load(Ordering::Relaxed));
}

/// ERR-01: the failure of a handler and that of an application in a router reach the test.
#[test]
fn a_failure_below_a_router_reaches_the_test() {
    let pool = pool();
    let fails = || -> gateway::Result<String> { Err(gateway::Error::new("the handler has failed")) };
    let app = application_fn(|environ: &mut Environ, _: StartResponse<'_>| {
        // The request is consumed, with its extensions.
        drop(environ.take_request());
        Err(gateway::Error::new("the application has failed"))
    });
    let router = Router::new().route("/handler", get(pool.handler(fails))).route("/app", get(pool.mount(app)));
    let client = Client::router(router);
    for (path, expected) in [("/handler", "the handler has failed"), ("/app", "the application has failed")] {
        let response = client.get(path);
        assert_eq!((response.status().as_u16(), response.failure()), (500, Some(expected)));
    }
}

/// DISC-01, IN-17, BP-08: the network faults are available for routers, too.
#[test]
fn the_faults_of_the_network_meet_a_router() {
    let pool = pool();
    let count = |mut input: Input| -> gateway::Result<String> { Ok(input.read_all()?.len().to_string()) };
    let endless = || Streamed::chunks(std::iter::repeat("tick "));
    let client = Client::router(
        Router::new().route("/count", post(pool.handler(count))).route("/endless", get(pool.handler(endless))),
    );
    let upload = || client.request("POST", "/count").body("0123456789").body_frames(3);
    assert_eq!(upload().read_slowly().send().text(), "10");
    assert_eq!(upload().cut_body_after(5).send().status(), 400);
    let response = client.request("GET", "/endless").disconnect_after(100).send();
    assert_eq!(response.outcome(), Outcome::Disconnected);
    assert!(response.chunks().concat().starts_with(b"tick tick "));
    gateway_tests::until("the thread is idle", || pool.stats().busy == 0);
}

#[test]
#[should_panic(expected = "give the router a pool with `queue(0)`")]
fn a_full_queue_is_for_one_gateway() {
    let _ = client("/", get(async || "")).request("GET", "/").queue_full().send();
}

#[test]
#[should_panic(expected = "as the test wants")]
fn a_panic_of_an_async_handler_goes_on_in_the_test() {
    let panics = async || -> &'static str { panic!("as the test wants") };
    let _ = client("/", get(panics)).get("/");
}

/// Handlers see the router's state; an application sees the extensions that layers insert.
#[test]
fn a_state_of_the_router_does_not_reach_an_application() {
    #[derive(Clone)]
    struct Greeting(&'static str);
    #[wsgi_app]
    fn greet(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
        let greeting = environ.extensions().get::<Greeting>();
        let &Greeting(greeting) = greeting.ok_or_else(|| gateway::Error::new("the router has no greeting"))?;
        start_response("200 OK", &[])?;
        Ok([greeting])
    }
    let pool = pool();
    let with_state = Router::new().route("/", get(pool.mount(greet))).with_state(Greeting("Hello"));
    let response = Client::router(with_state).get("/");
    assert_eq!((response.status().as_u16(), response.failure()), (500, Some("the router has no greeting")));
    let with_layer = Router::new().route("/", get(pool.mount(greet))).layer(Extension(Greeting("Hello")));
    assert_eq!(Client::router(with_layer).get("/").text(), "Hello");
}

#[test]
fn a_body_is_written_and_read_by_its_type() {
    let pool = pool();
    let json = |Json(note): Json<Note>| Json(Note { stars: note.stars + 1, ..note });
    let form = |Form(note): Form<Note>| Json(note);
    let types = |headers: HeaderMap, body: String| format!("{:?} {}", headers["content-type"], body.len());
    let router = Router::new()
        .route("/json", post(pool.handler(json)))
        .route("/form", post(pool.handler(form)))
        .route("/types", post(pool.handler(types)));
    let client = Client::router(router);
    let note = || Note { text: "é & b".to_owned(), stars: 4 };
    let response = client.request("POST", "/json").json(&note()).send();
    assert_eq!(response.json::<Note>(), Note { stars: 5, ..note() });
    assert_eq!(client.request("POST", "/form").form(&note()).send().json::<Note>(), note());
    let parts = MultipartForm::new().text("a", "b");
    let response = client.request("POST", "/types").header("content-type", "text/plain").multipart(parts).send();
    assert_eq!(response.text(), "\"multipart/form-data; boundary=gateway-0\" 75");
}

#[test]
#[should_panic(expected = "the body of this response (404 Not Found) is not JSON of u8: EOF while parsing a value")]
fn the_message_about_a_body_that_is_not_json_has_the_status() {
    client("/", get(async || "")).get("/none").json::<u8>();
}

/// An application of a gateway has cookies and defaults, too.
#[test]
fn a_client_keeps_cookies_and_headers_for_all_requests() {
    let app = application_fn(|environ, start_response| {
        let fields = ["cookie", "x-one", "host"].map(|name| {
            let values = environ.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
            values.collect::<Vec<_>>().join(",")
        });
        let query = environ.query().to_owned();
        let fresh =
            [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/in"), ("Set-Cookie", "a=; Path=/; Max-Age=0")];
        start_response(
            "200 OK",
            match query.as_str() {
                "set" => &fresh[..2],
                "delete" => &fresh[2..],
                _ => &[],
            },
        )?;
        Ok(Chunks::new([fields.join("|")]))
    });
    let plain = Client::new(app);
    let client = plain.clone().with_cookies().default_header("X-One", "1").default_header("Host", "example.com");
    assert_eq!(client.get("/?set").text(), "|1|example.com");
    assert_eq!(client.get("/in").text(), "b=2; a=1|1|example.com");
    assert_eq!(
        client.request("GET", "/").header("cookie", "c=3").header("x-one", "2").send().text(),
        "c=3; a=1|2|example.com"
    );
    assert_eq!((client.cookie("b").as_deref(), plain.cookie("b")), (Some("2"), None));
    client.get("/?delete");
    assert_eq!(
        (client.get("/").text(), client.clone().get("/in").text()),
        ("|1|example.com".to_owned(), "b=2|1|example.com".to_owned())
    );
    plain.get("/?set");
    assert_eq!(plain.get("/").text(), "||test.local");
}

#[test]
#[should_panic(expected = "the request body has 10 bytes: it cannot be cut after 11")]
fn a_body_cannot_be_cut_beyond_its_end() {
    let _ = client("/", post(async || "")).request("POST", "/").cut_body_after(11).body("0123456789").send();
}
