//! Errors that carry their response.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use gateway::testing::{Client, Outcome};
use gateway::{Application, Chunks, Error, Pool, Streamed, application_fn};
use gateway_tests::{Server, capture_events, capture_log};

/// Fails with the response after `start_response`, so that the response has to replace a head.
fn failing<R: IntoResponse>(response: impl Fn() -> R + Send + Sync + 'static) -> impl Application {
    application_fn(move |_, start_response| {
        start_response("200 OK", &[("X-Old", "1"), ("Content-Length", "99")])?;
        Err(Error::response(response()))
    })
}

#[test]
fn the_response_of_an_error_is_sent_as_it_is() {
    let app = failing(|| (StatusCode::CONFLICT, [("x-new", "2")], Json("no")));
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!((response.status().as_u16(), response.text().as_str()), (409, "\"no\""));
    let headers = response.headers();
    assert_eq!(
        (&headers["x-new"], &headers["content-type"], &headers["content-length"]),
        (&"2".parse().unwrap(), &"application/json".parse().unwrap(), &"4".parse().unwrap())
    );
    assert_eq!((headers.get("x-old"), response.failure(), log.len()), (None, None, 0), "{log:?}");
}

/// An error type of the program may delegate its response to a gateway's error.
#[test]
fn an_error_can_be_the_response_of_an_error() {
    let (response, log) =
        capture_log(|| Client::new(failing(|| Error::response((StatusCode::NOT_FOUND, "none")))).get("/"));
    assert_eq!((response.status().as_u16(), response.text().as_str(), log.len()), (404, "none", 0), "{log:?}");
    let (response, log) = capture_log(|| Client::new(failing(|| Error::new("broken"))).get("/"));
    assert_eq!((response.status().as_u16(), log.len()), (500, 1), "{log:?}");
    assert!(log[0].text.contains("broken"), "{log:?}");
}

#[test]
fn the_response_of_an_error_has_no_body_where_none_may_be() {
    let head = Client::new(failing(|| (StatusCode::GONE, "gone"))).request("HEAD", "/").send();
    assert_eq!((head.status().as_u16(), head.text().as_str()), (410, ""));
    assert_eq!(head.headers()["content-length"], "4");
    let server = Server::of(failing(|| StatusCode::NOT_MODIFIED));
    let mut connection = server.connect();
    for _ in 0..2 {
        let reply = connection.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!((reply.status(), reply.text().as_str()), (304, ""));
    }
}

#[test]
fn an_error_response_of_500_and_above_is_one_event() {
    let (response, log) = capture_log(|| Client::new(failing(|| StatusCode::BAD_GATEWAY)).get("/path"));
    assert_eq!((response.status().as_u16(), log.len()), (502, 1), "{log:?}");
    assert!(log[0].level == tracing::Level::ERROR && log[0].span.contains("/path"), "{log:?}");
    assert!(response.failure().is_some_and(|failure| failure.contains("502 Bad Gateway")), "{response:?}");
}

/// LOG-12.
#[test]
fn the_access_record_has_the_status_of_an_error_response() {
    let (_, events) = capture_events(|| Client::new(failing(|| (StatusCode::NOT_FOUND, "none"))).get("/"));
    let records: Vec<_> = events.iter().filter(|event| event.target == "gateway::access").collect();
    assert_eq!(records.len(), 1);
    let text = &records[0].text;
    assert!(["status=404", "bytes=4", "outcome=complete"].iter().all(|field| text.contains(field)), "{text}");
}

/// ERR-04.
#[test]
fn an_error_response_after_the_first_byte_breaks_the_message_off() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?.send("half")?;
        Err(Error::response(StatusCode::NOT_FOUND))
    });
    let (response, log) = capture_log(|| Client::new(app).get("/"));
    assert_eq!((response.status().as_u16(), response.outcome(), log.len()), (200, Outcome::Aborted, 1), "{log:?}");
}

#[test]
fn an_error_response_may_come_from_the_first_chunk() {
    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new([Err::<&str, _>(Error::response((StatusCode::NOT_FOUND, "none")).into_boxed())]))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (404, "none"));
}

#[test]
fn an_error_response_is_found_inside_other_errors() {
    let app = application_fn(|_, _| {
        let inner = std::io::Error::other(Error::response((StatusCode::IM_A_TEAPOT, "short and stout")).into_boxed());
        Err(Error::new(anyhow::Error::new(inner).context("while brewing")))
    });
    let response = Client::new(app).get("/");
    assert_eq!((response.status().as_u16(), response.text().as_str()), (418, "short and stout"));
}

/// A body that the thread generates, and an invalid head.
#[test]
fn an_error_response_is_checked_and_streamed_like_that_of_a_handler() {
    let streamed = Client::new(failing(|| (StatusCode::ACCEPTED, Streamed::chunks(["one, ", "two"])))).get("/");
    assert_eq!((streamed.status().as_u16(), streamed.text().as_str()), (202, "one, two"));
    let wrong = failing(|| Response::builder().header("transfer-encoding", "chunked").body(Body::empty()).unwrap());
    assert_eq!(Client::new(wrong).get("/").status(), 500);
}

#[test]
fn a_handler_may_return_an_error_response() {
    fn lost() -> gateway::Result<&'static str> {
        Err(Error::response((StatusCode::NOT_FOUND, "nothing here")))
    }
    fn down() -> gateway::Result<&'static str> {
        Err(Error::response((StatusCode::BAD_GATEWAY, "down")))
    }
    let pool = Pool::builder().threads(1).build().unwrap();
    let router = Router::new()
        .route("/lost", get(pool.handler(lost)))
        .route("/down", get(pool.handler(down)))
        .route("/async", get(|| async { lost() }));
    let server = Server::of(router);
    for (path, status, text) in
        [("/lost", 404, "nothing here"), ("/down", 502, "down"), ("/async", 404, "nothing here")]
    {
        let reply = server.get(path);
        assert_eq!((reply.status(), reply.text().as_str()), (status, text), "{path}");
    }
}
