//! A JSON API over SQLite: blocking handlers with axum's extractors, a bearer token, CORS, request ids, metrics.
//!
//! ```sh
//! API_TOKEN=sesame cargo run --release --example api
//! alias call='curl -i -H "Authorization: Bearer sesame" -H "Content-Type: application/json"'
//! curl -i http://127.0.0.1:8000/notes                                          # 401
//! call http://127.0.0.1:8000/notes -d '{"title": "tea"}'                       # 201, "Location: /notes/1"
//! call http://127.0.0.1:8000/notes/1 -X PUT -d '{"title": "tea", "done": true}'
//! call 'http://127.0.0.1:8000/notes?search=t&limit=5'                          # [{"id":1,"title":"tea","done":true}]
//! call http://127.0.0.1:8000/notes -d '{"title": " "}'                         # 422, {"error":"the title is empty"}
//! call http://127.0.0.1:8000/notes/1 -X DELETE                                 # 204
//! call http://127.0.0.1:8000/metrics                                           # for Prometheus, with the same token
//! ```
//!
//! A handler is a plain fn: its extractors run on the runtime, the fn on a thread of the pool, which may block on the
//! database. `api_axum.rs` is the same API in axum and `spawn_blocking`.

mod log;

use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gateway::{Pool, RequestIdLayer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tower_http::cors::{Any, CorsLayer};

type Database = r2d2::Pool<SqliteConnectionManager>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _log = log::Log::start("info", std::io::stdout());
    let token = std::env::var("API_TOKEN").context("API_TOKEN is not set")?;
    let database = Database::new(SqliteConnectionManager::file("notes.db"))?;
    // A thread for each connection.
    let pool = Pool::builder().threads(database.max_size() as usize).build()?;
    let app = app(database, &token, PrometheusBuilder::new().install_recorder()?, &pool)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await?;
    Ok(())
}

fn app(database: Database, token: &str, metrics: PrometheusHandle, pool: &Pool) -> anyhow::Result<Router> {
    // In WAL mode, readers and the writer do not block each other.
    database.get()?.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done BOOL NOT NULL)",
    )?;
    let figures = pool.clone();
    let scrape = move || async move {
        figures.publish_metrics();
        metrics.render()
    };
    // Also the answers that the gateway makes itself, such as 503, are JSON.
    let api = pool.gateway().error_page(|status, headers| {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        json!({ "error": status.canonical_reason() }).to_string().into()
    });
    Ok(Router::new()
        .route("/notes", get(api.handler(list)).post(api.handler(create)))
        .route("/notes/{id}", get(api.handler(read)).put(api.handler(update)).delete(api.handler(remove)))
        .route("/metrics", get(scrape))
        .route_layer(middleware::from_fn_with_state(Arc::from(token), authorize))
        // Outside of the authorization: a preflight has no token.
        .layer(CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers([AUTHORIZATION, CONTENT_TYPE]))
        .layer(RequestIdLayer::new())
        .with_state(database))
}

/// Lets requests with the token pass.
async fn authorize(State(token): State<Arc<str>>, request: Request, next: Next) -> Result<Response, ApiError> {
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Of digests, so that the time of the comparison does not depend on the token.
    match sent {
        Some(sent) if Sha256::digest(sent) == Sha256::digest(token.as_bytes()) => Ok(next.run(request).await),
        _ => Err(ApiError::Unauthorized),
    }
}

#[derive(Serialize)]
struct Note {
    id: i64,
    title: String,
    done: bool,
}

impl Note {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get("id")?, title: row.get("title")?, done: row.get("done")? })
    }
}

/// The input of a note.
#[derive(Deserialize)]
struct Draft {
    title: String,
    #[serde(default)]
    done: bool,
}

impl Draft {
    fn check(&self) -> Result<(), ApiError> {
        if self.title.trim().is_empty() { Err(ApiError::Invalid("the title is empty")) } else { Ok(()) }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct Page {
    search: String,
    limit: u32,
    offset: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { search: String::new(), limit: 20, offset: 0 }
    }
}

fn list(State(database): State<Database>, Query(page): Query<Page>) -> Result<Json<Vec<Note>>, ApiError> {
    let connection = database.get()?;
    let mut statement = connection
        .prepare_cached("SELECT * FROM notes WHERE instr(title, ?1) ORDER BY id LIMIT min(?2, 100) OFFSET ?3")?;
    let notes = statement.query_map((page.search, page.limit, page.offset), Note::of_row)?;
    Ok(Json(notes.collect::<Result<_, _>>()?))
}

fn create(State(database): State<Database>, Json(draft): Json<Draft>) -> Result<impl IntoResponse, ApiError> {
    draft.check()?;
    let note = database.get()?.query_row(
        "INSERT INTO notes (title, done) VALUES (?1, ?2) RETURNING *",
        (draft.title, draft.done),
        Note::of_row,
    )?;
    Ok((StatusCode::CREATED, [(LOCATION, format!("/notes/{}", note.id))], Json(note)))
}

fn read(State(database): State<Database>, Path(id): Path<i64>) -> Result<Json<Note>, ApiError> {
    let note = database.get()?.query_row("SELECT * FROM notes WHERE id = ?1", [id], Note::of_row)?;
    Ok(Json(note))
}

fn update(
    State(database): State<Database>,
    Path(id): Path<i64>,
    Json(draft): Json<Draft>,
) -> Result<Json<Note>, ApiError> {
    draft.check()?;
    let note = database.get()?.query_row(
        "UPDATE notes SET title = ?2, done = ?3 WHERE id = ?1 RETURNING *",
        (id, draft.title, draft.done),
        Note::of_row,
    )?;
    Ok(Json(note))
}

fn remove(State(database): State<Database>, Path(id): Path<i64>) -> Result<StatusCode, ApiError> {
    match database.get()?.execute("DELETE FROM notes WHERE id = ?1", [id])? {
        0 => Err(ApiError::NotFound),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Why a request fails.
enum ApiError {
    Unauthorized,
    NotFound,
    Invalid(&'static str),
    Internal(gateway::Error),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "a bearer token is required"),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such note"),
            Self::Invalid(problem) => (StatusCode::UNPROCESSABLE_ENTITY, problem),
            // The gateway logs it, with the request, and answers with its error page.
            Self::Internal(error) => return error.into_response(),
        };
        (status, Json(json!({ "error": text }))).into_response()
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            error => Self::Internal(error.into()),
        }
    }
}

impl From<r2d2::Error> for ApiError {
    fn from(error: r2d2::Error) -> Self {
        Self::Internal(error.into())
    }
}

/// The app of the tests, which `api_axum.rs` has to pass as well.
#[cfg(test)]
fn app_under_test(database: Database, metrics: PrometheusHandle) -> Router {
    app(database, "sesame", metrics, &Pool::builder().threads(2).build().unwrap()).unwrap()
}

#[cfg(test)]
#[path = "api/tests.rs"]
mod tests;
