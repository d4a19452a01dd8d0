//! The layer that takes the request id from the header.

use axum::Router;
use axum::routing::get;
use gateway::testing::Inline;
use gateway::{Chunks, Gateway, RequestId, RequestIdLayer, application_fn};
use gateway_tests::{block_on, capture_events};
use http::{Request, Response};
use tower::ServiceExt as _;

/// Answers with the request id that it sees.
fn site() -> Router {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[("X-Request-Id", "the application's own")])?;
        Ok(Chunks::new([environ.request_id().to_owned()]))
    });
    Router::new().route("/", get(Gateway::new(app).executor(Inline::new())))
}

fn request(headers: &[(&str, &str)]) -> Request<axum::body::Body> {
    let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    request.body(axum::body::Body::empty()).unwrap()
}

/// The id in the header of the response, after a check that the application and the log had the same id.
fn id_of(router: Router, request: Request<axum::body::Body>) -> String {
    let ((id, seen), events) = capture_events(|| {
        let response: Response<_> = block_on(router.oneshot(request)).unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        (id, block_on(axum::body::to_bytes(response.into_body(), 1000)).unwrap())
    });
    assert_eq!(seen, id);
    assert!(events.iter().all(|event| event.span.starts_with(&format!("request_id={id} "))), "{events:?}");
    id
}

fn is_new(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// EXT-03.
#[test]
fn a_request_keeps_the_id_that_it_came_with() {
    let longest = "x".repeat(128);
    for id in ["f00", "0b5e5a9e-5d7c-4d7e-9d6e-0d0a3a6f8f2c", "Root=1-67891233:a/b+c.d_e~f@g=", &longest] {
        assert_eq!(id_of(site().layer(RequestIdLayer::new()), request(&[("x-request-id", id)])), id);
    }
}

/// EXT-03: a client's id cannot inject anything into the log.
#[test]
fn an_id_that_is_not_safe_in_a_log_is_replaced() {
    let too_long = "x".repeat(129);
    for id in ["", "a b", "a\"b", "a\\nb", "a\tb", "a=b outcome=complete", "<b>", "a,b", "\u{e9}", &too_long] {
        let replaced = id_of(site().layer(RequestIdLayer::new()), request(&[("x-request-id", id)]));
        assert!(is_new(&replaced), "{id:?} became {replaced}");
    }
    let two = request(&[("x-request-id", "a"), ("x-request-id", "b")]);
    assert!(is_new(&id_of(site().layer(RequestIdLayer::new()), two)));
    let [first, second] = [(); 2].map(|()| id_of(site().layer(RequestIdLayer::new()), request(&[])));
    assert!(is_new(&first) && is_new(&second) && first != second, "{first} {second}");
}

/// EXT-03: an id from an outer layer takes precedence.
#[test]
fn an_id_that_a_layer_has_set_goes_before_the_header() {
    let mut request = request(&[("x-request-id", "theirs")]);
    request.extensions_mut().insert(RequestId::new("ours"));
    assert_eq!(id_of(site().layer(RequestIdLayer::new()), request), "ours");
}

/// An id that is not a valid header value is in the log, and not in the response.
#[test]
fn an_id_that_cannot_be_sent_is_not_sent() {
    let router = Router::new().route("/", get("ok")).layer(RequestIdLayer::new());
    let mut request = request(&[]);
    request.extensions_mut().insert(RequestId::new("a\nb"));
    assert!(!block_on(router.oneshot(request)).unwrap().headers().contains_key("x-request-id"));
}

#[cfg(feature = "tower-http")]
mod of_tower_http {
    use http::HeaderName;
    use tower_http::request_id::{MakeRequestId, SetRequestIdLayer};

    use super::*;

    #[derive(Clone)]
    struct Made;

    impl MakeRequestId for Made {
        fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<tower_http::request_id::RequestId> {
            Some(tower_http::request_id::RequestId::new("made".parse().unwrap()))
        }
    }

    fn set() -> SetRequestIdLayer<Made> {
        SetRequestIdLayer::new(HeaderName::from_static("x-request-id"), Made)
    }

    /// EXT-03: the layer of `tower-http`, with our layer and without it. It accepts any header value of the client, so
    /// our layer checks its id.
    #[test]
    fn the_id_of_tower_http_is_understood() {
        for (sent, expected) in [(None, "made"), (Some("theirs"), "theirs")] {
            let headers: Vec<_> = sent.map(|id| ("x-request-id", id)).into_iter().collect();
            assert_eq!(id_of(site().layer(RequestIdLayer::new()).layer(set()), request(&headers)), expected);
            let response = block_on(site().layer(set()).oneshot(request(&headers))).unwrap();
            assert_eq!(block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap(), expected);
        }
        let unsafe_id = request(&[("x-request-id", "a b")]);
        assert!(is_new(&id_of(site().layer(RequestIdLayer::new()).layer(set()), unsafe_id)));
    }
}
