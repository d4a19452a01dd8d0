//! Rust routes in front of a legacy application.

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::routing::{any, get, post};
use gateway::migration::Migration;
use gateway::{Chunks, Gateway, Pool, application_fn};
use gateway_tests::{Gate, Reply, Server, call, panic_message};
use tower::ServiceExt as _;

/// Answers with `old METHOD SCRIPT_NAME|PATH_INFO|QUERY_STRING`, and the length of this text.
fn old() -> Gateway {
    Gateway::new(application_fn(|environ, start_response| {
        let path = [environ.script_name(), environ.path_info(), environ.query()].join("|");
        let text = format!("old {} {path}", environ.method());
        start_response("200 OK", &[("X-Old", &text)])?;
        Ok(Chunks::new([text.clone()]))
    }))
}

async fn rust() -> &'static str {
    "rust"
}

/// The rest of the path that a handler sees, and the whole path.
async fn paths(uri: Uri, OriginalUri(original): OriginalUri) -> String {
    format!("rust {uri} of {original}")
}

fn send(server: &Server, method: &str, target: &str) -> Reply {
    server.connect().request(&format!("{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"))
}

fn check(router: Router, cases: &[(&str, &str, &str)]) {
    let server = Server::of(router);
    for (method, target, expected) in cases {
        let reply = send(&server, method, target);
        assert_eq!((reply.status(), reply.text().as_str()), (200, *expected), "{method} {target}");
        assert_eq!(reply.header("allow"), None, "{method} {target}");
    }
}

/// MNT-03: a path with a different spelling is a different path.
#[test]
fn routes_of_rust_win_and_all_else_is_the_old_applications() {
    let migration = Migration::new(old())
        .route("/reports", get(rust))
        .route("/reports", post(rust))
        .route("/users/{id}", get(rust).delete(rust))
        .route_service("/whole", any(rust));
    check(
        migration.into_router(),
        &[
            ("GET", "/reports", "rust"),
            ("GET", "/reports?year=1", "rust"),
            ("POST", "/reports", "rust"),
            ("PUT", "/reports", "old PUT |/reports|"),
            ("OPTIONS", "/reports", "old OPTIONS |/reports|"),
            ("BREW", "/reports?tea=1", "old BREW |/reports|tea=1"),
            ("DELETE", "/users/1", "rust"),
            ("POST", "/users/1", "old POST |/users/1|"),
            ("BREW", "/whole", "rust"),
            ("GET", "/", "old GET |/|"),
            ("GET", "/reports/", "old GET |/reports/|"),
            ("GET", "//reports", "old GET |//reports|"),
            ("GET", "/%72eports", "old GET |/reports|"),
            ("POST", "/a%2Fb?q", "old POST |/a/b|q"),
        ],
    );
}

#[test]
fn head_goes_to_the_handler_of_get_and_else_to_the_old_application() {
    let router = Migration::new(old()).route("/get", get(rust)).route("/post", post(rust)).into_router();
    let server = Server::of(router);
    for (path, length, by_old) in
        [("/get", "4", None), ("/post", "16", Some("old HEAD |/post|")), ("/x", "13", Some("old HEAD |/x|"))]
    {
        let mut connection = server.connect();
        let reply = connection.request_head(path);
        assert_eq!(reply.header("x-old"), by_old, "{path}");
        assert_eq!(reply.header("content-length").unwrap_or(length), length, "{path}");
    }
}

/// SECURITY.md, the first promise: only the response that the application intended is sent.
#[test]
fn without_routes_it_is_the_old_application() {
    let app = || {
        Gateway::new(application_fn(|environ, start_response| {
            let (status, allow) = match environ.path_info() {
                "/405" => ("405 Method Not Allowed", "GET"),
                "/404" => ("404 Not Found", ""),
                _ => ("200 OK", "POST"),
            };
            let headers = [("Allow", allow)];
            start_response(status, if allow.is_empty() { &[] } else { &headers })?;
            Ok(Chunks::new([environ.path_info().to_owned()]))
        }))
    };
    let bare = Server::of(app());
    let moved = Server::of(Migration::new(app()).into_router());
    let other = Server::of(Migration::new(app()).route("/404", get(rust)).route("/405", get(rust)).into_router());
    for head in [
        "GET / HTTP/1.1",
        "POST /404 HTTP/1.1",
        "PUT /405 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT h:1 HTTP/1.1",
        "GET http://h/x HTTP/1.1",
    ] {
        let reply = |server: &Server| {
            let reply = server.connect().request(&format!("{head}\r\nHost: h\r\n\r\n"));
            let mut headers = reply.headers.clone();
            headers.retain(|(name, _)| name != "date");
            (reply.line.clone(), headers, reply.text())
        };
        assert_eq!(reply(&moved), reply(&bare), "{head}");
        assert_eq!(reply(&other), reply(&bare), "{head}");
    }
}

/// MNT-04 to MNT-06, for the fallback of the router and the fallbacks of its routes.
#[test]
fn below_a_prefix_the_old_application_is_mounted_where_the_router_is() {
    let router = || Migration::new(old()).route("/reports", get(paths)).into_router();
    let mut cases = vec![
        ("GET", "/shop/reports", "rust /reports of /shop/reports"),
        ("POST", "/shop/reports", "old POST /shop|/reports|"),
        ("GET", "/shop", "old GET /shop||"),
        ("GET", "/shop/x", "old GET /shop|/x|"),
        ("GET", "/shop//x?q", "old GET /shop|//x|q"),
    ];
    check(Router::new().nest("/shop", router()), &cases);
    // axum does not pass this on to a nested router.
    assert_eq!(Server::of(Router::new().nest("/shop", router())).get("/shop/").status(), 404);
    cases.push(("GET", "/shop/", "old GET /shop|/|"));
    check(Router::new().nest_service("/shop", router()), &cases);
    check(
        Router::new().nest("/{tenant}", Router::new().nest_service("/shop", router())),
        &[
            ("PUT", "/a%20b/shop/reports", "old PUT /a b/shop|/reports|"),
            ("GET", "/acme/shop/", "old GET /acme/shop|/|"),
            ("GET", "/acme/shop/x", "old GET /acme/shop|/x|"),
        ],
    );
}

#[test]
fn what_a_nest_takes_off_for_handlers_the_old_application_still_sees() {
    let router = || {
        Migration::new(old())
            .route("/", get(paths))
            .nest("/api", |api| {
                api.route("/users", get(paths)).nest("/{version}", |version| version.route("/users/{id}", get(paths)))
            })
            .into_router()
    };
    check(
        router(),
        &[
            ("GET", "/", "rust / of /"),
            ("GET", "/api/users", "rust /users of /api/users"),
            ("GET", "/api/v1/users/7", "rust /users/7 of /api/v1/users/7"),
            ("POST", "/api/users?q", "old POST |/api/users|q"),
            ("DELETE", "/api/v1/users/7", "old DELETE |/api/v1/users/7|"),
            ("GET", "/api", "old GET |/api|"),
            ("GET", "/api/", "old GET |/api/|"),
            ("GET", "/api/v1/x", "old GET |/api/v1/x|"),
        ],
    );
    check(
        Router::new().nest_service("/shop", router()),
        &[
            ("GET", "/shop/api/v1/users/7", "rust /users/7 of /shop/api/v1/users/7"),
            ("POST", "/shop/api/users", "old POST /shop|/api/users|"),
            ("PUT", "/shop/api/v1/users/7", "old PUT /shop|/api/v1/users/7|"),
            ("GET", "/shop/api", "old GET /shop|/api|"),
        ],
    );
}

/// A migration that is nested in another one has its own prefix.
#[test]
fn migrations_may_contain_each_other() {
    let inner: Router = Migration::new(old()).route("/leaf/reports", get(rust)).into_router();
    let router = Migration::new(old())
        .nest("/outer", |outer| outer.route_service("/leaf/{*rest}", inner.into_service()))
        .into_router();
    check(
        router,
        &[
            ("GET", "/outer/leaf/reports", "rust"),
            ("POST", "/outer/leaf/reports", "old POST /outer|/leaf/reports|"),
            ("GET", "/outer/leaf/x", "old GET /outer|/leaf/x|"),
            ("GET", "/outer/x", "old GET |/outer/x|"),
        ],
    );
}

#[test]
fn handlers_may_have_state_and_the_router_further_routes() {
    async fn greet(State(name): State<&'static str>) -> &'static str {
        name
    }
    let further = Router::new().route("/further", get(greet));
    let router: Router<&str> = further.merge(Migration::new(old()).route("/greet", get(greet)));
    check(
        router.route("/last", any(greet)).with_state("state"),
        &[
            ("GET", "/greet", "state"),
            ("GET", "/further", "state"),
            ("BREW", "/last", "state"),
            ("POST", "/greet", "old POST |/greet|"),
            ("GET", "/x", "old GET |/x|"),
        ],
    );
}

/// POOL-07: the fallback of the router and the fallbacks of its routes are one mount with one pool.
#[tokio::test(crate = "crate::bounded")]
async fn all_ways_to_the_old_application_share_its_pool() {
    let gate = Gate::new();
    let pool = Pool::builder().threads(1).queue(0).build().unwrap();
    let old = Gateway::new(gate.application()).pool(&pool);
    let router = Migration::new(old.clone())
        .route("/reports", get(rust))
        .nest("/api", |api| api.route("/reports", get(rust)))
        .into_router();
    let send = |method: &str, path: &str| {
        let request = http::Request::builder().method(method).uri(path).header("host", "h");
        router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap())
    };
    let first = tokio::spawn(send("POST", "/reports"));
    assert_eq!(gate.begun().await, "/reports");
    for (method, path) in [("GET", "/x"), ("POST", "/reports"), ("POST", "/api/reports")] {
        assert_eq!(send(method, path).await.unwrap().status(), 503, "{method} {path}");
    }
    assert_eq!(call(&old, "/").await.unwrap().status(), 503);
    // A Rust route takes no pool thread.
    assert_eq!(send("GET", "/api/reports").await.unwrap().status(), 200);
    gate.open();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

#[test]
fn handlers_that_leave_no_method_to_the_old_application_are_no_route() {
    let message = panic_message(|| Migration::<()>::new(old()).route("/x", any(rust)));
    assert!(message.contains("fallback"), "{message}");
}

#[test]
fn the_old_side_may_have_a_layer() {
    use tower::Layer as _;
    let layer = tower::util::MapRequestLayer::new(|mut request: axum::extract::Request| {
        *request.method_mut() = http::Method::PATCH;
        request
    });
    let router: Router = Migration::new(layer.layer(old())).route("/reports", get(rust)).into_router();
    check(router, &[("GET", "/reports", "rust"), ("POST", "/reports", "old PATCH |/reports|")]);
}
