//! Lists of extractors of every kind and order: a blocking handler is given, refused and answered what an async one of
//! axum is.

use std::fmt::Debug;

use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Form, Json, Path, Query, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, Method};
use axum::routing::any;
use gateway::Pool;
use gateway::testing::Client;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::pool;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Page {
    from: u8,
    text: Option<String>,
}

type Id = Path<u8>;
type Checked = Result<Query<Page>, QueryRejection>;
type Note = Json<Page>;
type MayBeNote = Option<Json<Page>>;
type CheckedNote = Result<Json<Page>, JsonRejection>;

fn text(arguments: &impl Debug) -> String {
    format!("{arguments:?}")
}

/// Both routers, and the number of their routes: `/0/{id}` and so on, with a handler for each list.
struct Routers {
    blocking: Router<u16>,
    with_async: Router<u16>,
    routes: usize,
    pool: Pool,
}

/// Adds a list: the names and the types of its arguments.
macro_rules! add {
    ($routers:ident, $($name:ident: $kind:ty),*) => {{
        let path = format!("/{}/{{id}}", $routers.routes);
        let blocking = $routers.pool.handler(|$($name: $kind),*| text(&($($name,)*)));
        $routers.blocking = $routers.blocking.route(&path, any(blocking));
        $routers.with_async = $routers.with_async.route(&path, any(async |$($name: $kind),*| text(&($($name,)*))));
        $routers.routes += 1;
    }};
}

/// Adds the lists that begin with these, and end with each extractor of the body, or with none.
macro_rules! with_each_body {
    ($routers:ident, $($name:ident: $kind:ty),*) => {
        add!($routers, $($name: $kind),*);
        add!($routers, $($name: $kind,)* body: String);
        add!($routers, $($name: $kind,)* body: Note);
        add!($routers, $($name: $kind,)* body: MayBeNote);
        add!($routers, $($name: $kind,)* body: CheckedNote);
        add!($routers, $($name: $kind,)* body: Form<Page>);
    };
}

/// Adds the lists with this extractor, and then with each other one of the head, or with none.
macro_rules! with_each_second {
    ($routers:ident, $first:ty) => {
        with_each_body!($routers, a: $first);
        with_each_body!($routers, a: $first, b: Id);
        with_each_body!($routers, a: $first, b: Method);
        with_each_body!($routers, a: $first, b: Query<Page>);
        with_each_body!($routers, a: $first, b: Checked);
    };
}

impl Routers {
    fn new() -> Self {
        let mut routers = Self { blocking: Router::new(), with_async: Router::new(), routes: 0, pool: pool() };
        with_each_body!(routers,);
        with_each_second!(routers, Id);
        with_each_second!(routers, State<u16>);
        with_each_second!(routers, Query<Page>);
        with_each_second!(routers, Checked);
        add!(routers, a: Method, b: State<u16>, c: Id, d: Checked, e: HeaderMap, body: CheckedNote);
        routers
    }
}

/// Texts of which some are right for each extractor.
fn one_of(texts: &'static [&str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(texts)
}

#[test]
fn a_list_of_extractors_gets_what_it_gets_on_async_axum() {
    let Routers { blocking, with_async, routes, pool: _pool } = Routers::new();
    let [blocking, with_async] = [blocking, with_async].map(|router| Client::router(router.with_state(7)));
    let requests = (
        0..routes,
        one_of(&["GET", "POST", "PUT", "HEAD"]),
        one_of(&["1", "255", "256", "x", "%31", "%ff"]),
        one_of(&["", "?", "?from=1", "?from=1&text=a+%62", "?from=x", "?text=%ff&from=2", "?from=1&from=2"]),
        one_of(&["", "application/json", "application/x-www-form-urlencoded", "text/plain", "application/a+json", "x"]),
        one_of(&[
            "",
            "from=1",
            "from=x",
            r#"{"from":1}"#,
            r#"{"from":1,"text":"a"} "#,
            r#"{"from":"x"}"#,
            "{",
            "\u{e9}",
        ]),
    );
    let config = ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((route, method, id, query, kind, body) in requests)| {
        let [ours, theirs] = [&blocking, &with_async].map(|client| {
            let request = client.request(method, &format!("/{route}/{id}{query}")).body(body);
            let response = if kind.is_empty() { request } else { request.header("Content-Type", kind) }.send();
            let mut headers = response.headers().clone();
            // A gateway announces it if a body was left unread, and hyper does so itself.
            headers.remove(CONNECTION);
            (response.status(), headers, response.text())
        });
        prop_assert_eq!(ours, theirs);
    });
}
