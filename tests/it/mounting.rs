//! The places where a gateway can be mounted, and how each splits the path.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use futures_util::FutureExt as _;
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::{Flavour, Server, answer_fn, panic_message};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tower::util::MapResponseLayer;
use tower::{Layer as _, ServiceExt as _};

/// Answers with `SCRIPT_NAME|PATH_INFO|QUERY_STRING`.
fn shows_mount() -> Gateway {
    Gateway::new(answer_fn(|environ| {
        let parts = [environ.script_name(), environ.path_info(), environ.query()];
        assert_eq!(environ.get("REQUEST_URI").map(|uri| uri.starts_with('/')), Some(true));
        Ok([parts.join("|")])
    }))
}

fn check(router: Router, cases: &[(&str, &str)]) {
    let server = Server::of(router);
    for (target, expected) in cases {
        let reply = server.get(target);
        assert_eq!((reply.status(), reply.text().as_str()), (200, *expected), "{target}");
    }
}

/// MNT-02, MNT-04, MNT-05, ENV-04, ENV-05.
#[test]
fn a_nested_service_knows_its_prefix() {
    check(
        Router::new().nest_service("/api", shows_mount()),
        &[
            ("/api", "/api||"),
            ("/api/", "/api|/|"),
            ("/api?q=1", "/api||q=1"),
            ("/api/x/y?q=1", "/api|/x/y|q=1"),
            ("/api//x", "/api|//x|"),
            ("/api/%2Fx", "/api|//x|"),
            ("/api/a%20b/", "/api|/a b/|"),
        ],
    );
}

/// MNT-07.
#[test]
fn a_slash_at_the_end_of_the_prefix_makes_no_difference() {
    check(
        Router::new().nest_service("/api/", shows_mount()),
        &[("/api/", "/api|/|"), ("/api/x", "/api|/x|"), ("/api//x", "/api|//x|")],
    );
}

/// MNT-06.
#[test]
fn nests_add_up_and_patterns_show_what_they_matched() {
    let inner = Router::new().nest_service("/v1", shows_mount()).route_service("/leaf", shows_mount());
    check(
        Router::new().nest("/{tenant}", inner),
        &[
            ("/acme/v1", "/acme/v1||"),
            ("/a%20b/v1/x", "/a b/v1|/x|"),
            ("/a%2Fb/v1/", "/a/b/v1|/|"),
            ("/acme/leaf", "/acme|/leaf|"),
        ],
    );
}

/// MNT-06, ENV-04, ENV-06: a parameter may match an empty segment. Its match counts as a segment, and both halves form
/// the path.
#[test]
fn a_parameter_of_a_nest_may_be_empty() {
    let inner = || Router::new().nest_service("/v1", shows_mount()).route_service("/{*rest}", shows_mount());
    check(
        Router::new().nest("/{tenant}", inner()),
        &[
            ("//v1/z", "//v1|/z|"),
            ("//v1", "//v1||"),
            ("//v1/", "//v1|/|"),
            ("//v1//z", "//v1|//z|"),
            // The prefix of a mount does not end with a slash, so an empty segment there belongs to the rest.
            ("//z", "|//z|"),
            ("//z/y?q", "|//z/y|q"),
        ],
    );
    // One nest with two parameters, and two nests with one parameter each. The inner nest sees the path that remains
    // after the outer nest.
    let one = Router::new().nest_service("/{tenant}/{user}", shows_mount());
    let two = Router::new().nest("/{tenant}", Router::new().nest_service("/{user}", shows_mount()));
    for router in [one, two] {
        check(
            router,
            &[
                ("/a/b/z", "/a/b|/z|"),
                ("//b/z", "//b|/z|"),
                ("//b//z", "//b|//z|"),
                ("/a//z", "/a|//z|"),
                ("/a//z/y", "/a|//z/y|"),
                ("/a///z", "/a|///z|"),
                ("///z", "|///z|"),
                ("////z", "|////z|"),
            ],
        );
    }
    let three =
        Router::new().nest("/{a}", Router::new().nest("/{b}", Router::new().nest_service("/v1", shows_mount())));
    check(
        three,
        &[("/a//v1/z", "/a//v1|/z|"), ("///v1/z", "///v1|/z|"), ("///v1", "///v1||"), ("/a/b/v1/", "/a/b/v1|/|")],
    );
}

/// ENV-04, ENV-06: a slash at the end of a parameter, encoded, belongs to the rest like any other.
#[test]
fn an_encoded_slash_at_the_end_of_a_prefix_belongs_to_the_rest() {
    check(
        Router::new().nest("/a", Router::new().nest_service("/{x}", shows_mount())),
        &[("/a/t%2F", "/a/t|/|"), ("/a/t%2f/x", "/a/t|//x|"), ("/a/%2F/x", "/a|///x|"), ("/a/%2F%2fb/x", "/a///b|/x|")],
    );
    check(Router::new().nest_service("/{x}", shows_mount()), &[("/%2F", "|//|"), ("/%2F/x", "|///x|")]);
}

/// MNT-07, ENV-06: a router accepts two slashes where its prefix ends with one.
#[test]
fn slashes_after_a_prefix_with_one_at_its_end_are_kept() {
    check(
        Router::new().nest_service("/api/", shows_mount()),
        &[("/api///x", "/api|///x|"), ("/api////x", "/api|////x|"), ("/api//", "/api|//|"), ("/api///", "/api|///|")],
    );
    check(
        Router::new().nest("/{a}/", Router::new().nest_service("/{b}/", shows_mount())),
        &[("/x/y/z", "/x/y|/z|"), ("/x/y///z", "/x/y|///z|"), ("//y/z", "//y|/z|"), ("///z/y", "|///z/y|")],
    );
}

/// MNT-09, ENV-06: below an empty parameter, too, a path from middleware is distinguished from the remaining path of
/// the routers.
#[test]
fn a_path_rewritten_below_an_empty_parameter_is_the_path() {
    let rewritten = tower::util::MapRequest::new(shows_mount(), |mut request: axum::extract::Request| {
        *request.uri_mut() = "/rewritten".parse().unwrap();
        request
    });
    check(
        Router::new().nest("/{tenant}", Router::new().nest_service("/v1", rewritten)),
        &[("//v1/z", "//v1|/rewritten|"), ("/a/v1/z", "/a/v1|/rewritten|")],
    );
}

/// MNT-08.
#[test]
fn routes_and_fallbacks_consume_nothing() {
    check(
        Router::new()
            .route_service("/exact", shows_mount())
            .route_service("/wild/{*rest}", shows_mount())
            .fallback_service(shows_mount()),
        &[
            ("/exact", "|/exact|"),
            ("/wild/a/b", "|/wild/a/b|"),
            ("/", "|/|"),
            ("//evil.example/x", "|//evil.example/x|"),
        ],
    );
}

/// MNT-03: every method and sub-path reaches the application; neighbouring routes are not affected.
#[test]
fn a_mount_is_a_leaf_beside_async_routes() {
    let router = Router::new().route("/", get(|| async { "async" })).nest_service("/api", shows_mount());
    let server = Server::of(router);
    assert_eq!(server.get("/").text(), "async");
    assert_eq!(server.get("/apix").status(), 404);
    for method in ["GET", "POST", "DELETE", "BREW"] {
        let reply = server.connect().request(&format!("{method} /api/x HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(reply.text(), "/api|/x|", "{method}");
    }
}

/// MNT-09: a rewritten path replaces the path, and the prefix stays.
#[test]
fn middleware_may_rewrite_the_path() {
    let rewritten = tower::util::MapRequest::new(shows_mount(), |mut request: axum::extract::Request| {
        *request.uri_mut() = "/rewritten?new".parse().unwrap();
        request
    });
    let server = Server::of(Router::new().nest_service("/api", rewritten));
    assert_eq!(server.get("/api/x?old").text(), "/api|/rewritten|new");
}

/// MNT-14.
#[test]
fn a_current_thread_runtime_is_enough() {
    let server = Server::on(Flavour::CurrentThread, shows_mount());
    assert_eq!(server.get("/x").text(), "|/x|");
}

/// MNT-01, MNT-02, MNT-11, ERR-15: bare hyper, without axum and without extensions.
#[tokio::test(crate = "crate::bounded")]
async fn bare_hyper_can_serve_it() {
    let (client, server) = tokio::io::duplex(4096);
    let service = hyper_util::service::TowerToHyperService::new(shows_mount());
    tokio::spawn(async move {
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(server), service)
            .await;
        served.unwrap();
    });
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/x?y").header("host", "h").body(http_body_util::Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "|/x|y");
}

/// MNT-13: outer layers see an ordinary body, and its failure.
#[tokio::test(crate = "crate::bounded")]
async fn layers_outside_see_a_streaming_body() {
    let app = answer_fn(|environ| {
        let fails = environ.path_info() == "/fails";
        let last = if fails { Err(gateway::Error::new("trouble")) } else { Ok("b") };
        Ok(vec![Ok("a"), last])
    });
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let counting = MapResponseLayer::new(move |response: http::Response<gateway::Body>| {
        let counter = Arc::clone(&counter);
        response.map(|body| {
            body.map_frame(move |frame| {
                counter.fetch_add(1, Ordering::SeqCst);
                frame.map_data(|data| data.to_ascii_uppercase().into())
            })
        })
    });
    let service = counting.layer(Gateway::new(app));
    for (path, expected) in [("/", Some("AB")), ("/fails", None)] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let collected: Result<_, gateway::Aborted> =
            service.clone().oneshot(request).await.unwrap().into_body().collect().await;
        let text = collected.ok().map(|body: http_body_util::Collected<bytes::Bytes>| body.to_bytes());
        assert_eq!(text.as_deref(), expected.map(str::as_bytes), "{path}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

/// MNT-01.
#[tokio::test(crate = "crate::bounded")]
async fn a_request_may_have_any_body_type() {
    let echo = Gateway::new(application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(environ.input().chunks(1024)))
    }));
    let frames = ["abc", "", "def"].map(|text| Ok::<_, Infallible>(http_body::Frame::data(text.as_bytes())));
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    let response = echo.oneshot(http::Request::post("/").body(body).unwrap()).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "abcdef");
}

/// MNT-10: `SCRIPT_NAME` begins with the prefix that a proxy strips; if the proxy has left the prefix in the path, the
/// prefix is split off on a segment boundary.
#[test]
fn a_configured_script_name_is_the_prefix_of_a_proxy() {
    check(
        Router::new().fallback_service(shows_mount().script_name("/caf%C3%A9/")),
        &[
            ("/x", "/caf\u{c3}\u{a9}|/x|"),
            ("/", "/caf\u{c3}\u{a9}|/|"),
            ("/caf%C3%A9/x", "/caf\u{c3}\u{a9}|/x|"),
            ("/caf%C3%A9", "/caf\u{c3}\u{a9}||"),
            ("/caf%C3%A9teria", "/caf\u{c3}\u{a9}|/caf\u{c3}\u{a9}teria|"),
        ],
    );
    // Below a nest that the proxy does not know, and below one that it knows.
    check(
        Router::new()
            .nest_service("/api", shows_mount().script_name("/shop"))
            .nest_service("/shop/v1", shows_mount().script_name("/shop")),
        &[("/api/x", "/shop/api|/x|"), ("/shop/v1/x", "/shop/v1|/x|")],
    );
    let message = panic_message(|| shows_mount().script_name("shop"));
    assert!(message.contains("\"shop\" has to begin with a slash"), "{message}");
}

/// Percent-encodes all bytes except those that a path may contain unencoded.
fn encode(native: &str) -> String {
    native.chars().fold(String::new(), |mut path, character| {
        if character.is_ascii_alphanumeric() || "/-._~".contains(character) {
            path.push(character);
        } else {
            path.push_str(&format!("%{:02X}", u32::from(character)));
        }
        path
    })
}

/// A segment of any bytes except slashes, because a decoded segment cannot contain a slash as data.
fn segment() -> impl Strategy<Value = String> {
    proptest::collection::vec((1..=255u8).prop_filter("no slash", |byte| *byte != b'/'), 1..8)
        .prop_map(|bytes| bytes.into_iter().map(char::from).collect())
        // Routers treat these segments specially.
        .prop_filter("no dots", |segment: &String| segment != "." && segment != "..")
}

/// A segment, or an empty segment between two slashes.
fn any_segment() -> impl Strategy<Value = String> {
    prop_oneof![2 => segment(), 1 => Just(String::new())]
}

proptest! {
    /// ENV-04, ENV-06, ENV-07: under nested, dynamic and wildcard mounts, the two halves, encoded again, are the
    /// requested path, and the first half is empty or ends without a slash, whichever segments are empty.
    #[test]
    fn the_two_halves_of_the_path_make_the_whole(segments in proptest::collection::vec(any_segment(), 1..7)) {
        let path: String = segments.iter().flat_map(|segment| ["/".to_owned(), encode(segment)]).collect();
        let nest = |inner, outer| Router::new().nest(outer, Router::new().nest_service(inner, echo_halves()));
        let routers = [
            (Router::new().nest_service("/{a}", echo_halves()), 1),
            (Router::new().nest_service("/{a}/", echo_halves()), 1),
            (Router::new().nest_service("/{a}/{b}", echo_halves()), 2),
            (nest("/{b}", "/{a}"), 2),
            (nest("/{b}/", "/{a}/"), 2),
            (nest("/{b}/{c}", "/{a}"), 3),
            (nest("/{c}", "/{a}/{b}"), 3),
            (Router::new().nest("/{a}", nest("/{c}", "/{b}")), 3),
            (Router::new().route_service("/{*rest}", echo_halves()), 0),
        ];
        for (at, (router, depth)) in routers.into_iter().enumerate() {
            let request = http::Request::get(&path).body(axum::body::Body::empty()).unwrap();
            let response = router.oneshot(request).now_or_never().expect("nothing to wait for").unwrap();
            // The path has fewer segments than the mount, or its wildcard would match nothing.
            if response.status() == 404 {
                prop_assert!(segments.len() <= depth + 1, "{at}: {path} was not routed");
                continue;
            }
            let half = |name: &str| {
                let value = response.headers()[name].as_bytes();
                let hex = std::str::from_utf8(value).unwrap();
                let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
                bytes.map(char::from).collect::<String>()
            };
            let (script, info) = (half("x-script"), half("x-info"));
            prop_assert_eq!(encode(&format!("{script}{info}")), path.as_str(), "{}", at);
            prop_assert!(!script.ends_with('/'), "{at}: {script:?} of {path}");
            let consumed: String = segments.iter().take(depth).flat_map(|segment| ["/", segment]).collect();
            prop_assert_eq!(script, consumed.trim_end_matches('/'), "{} of {}", at, path);
        }
    }
}

/// Returns both halves in headers, in hexadecimal.
fn echo_halves() -> Gateway {
    let app = application_fn(|environ, start_response| {
        let hex = |key| {
            environ.get_bytes(key).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        start_response("200 OK", &[("X-Script", &hex("SCRIPT_NAME")), ("X-Info", &hex("PATH_INFO"))])?;
        Ok(Chunks::empty())
    });
    Gateway::new(app).executor(gateway::testing::Inline::new())
}
