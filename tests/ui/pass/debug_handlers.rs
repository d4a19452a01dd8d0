#![deny(warnings)]

use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use gateway::{Input, Pool, debug_handler};

#[derive(Clone)]
struct Names(Vec<String>);

#[derive(Clone)]
struct Limit(usize);

#[derive(Clone)]
struct Shared {
    names: Names,
    limit: Limit,
}

impl FromRef<Shared> for Names {
    fn from_ref(shared: &Shared) -> Self {
        shared.names.clone()
    }
}

impl FromRef<Shared> for Limit {
    fn from_ref(shared: &Shared) -> Self {
        shared.limit.clone()
    }
}

#[debug_handler]
fn none() {}

#[debug_handler]
fn by_state(State(Names(names)): State<Names>, headers: HeaderMap) -> Result<Json<Vec<String>>, String> {
    if headers.is_empty() { Err("no headers".to_owned()) } else { Ok(Json(names)) }
}

#[debug_handler(state = Shared)]
fn by_substates(State(names): State<Names>, State(limit): State<Limit>, Path(id): Path<usize>) -> impl IntoResponse {
    names.0.get(id).filter(|_| id < limit.0).cloned().ok_or(StatusCode::NOT_FOUND)
}

#[debug_handler(state = Shared, crate = ::gateway)]
fn with_body(_: State<Names>, mut input: Input) -> gateway::Result<String> {
    Ok(String::from_utf8(input.read_all()?)?)
}

struct Pages;

impl Pages {
    #[debug_handler]
    fn front() -> Page {
        Self::page()
    }

    fn page() -> Page {
        "front page"
    }
}

type Page = &'static str;

fn main() {
    let pool = Pool::builder().threads(1).build().unwrap();
    let shared = Shared { names: Names(vec![]), limit: Limit(1) };
    let _: Router = Router::new()
        .route("/none", get(pool.handler(none)))
        .route("/names", get(pool.handler(by_state)))
        .route("/names/{id}", get(pool.handler(by_substates)).post(pool.handler(with_body)))
        .route("/", get(pool.handler(Pages::front)))
        .with_state(shared);
}
