//! The API of `api.rs` in axum and `spawn_blocking`, without the gateway: for comparison.
//!
//! ```sh
//! API_TOKEN=sesame cargo run --release --example api_axum          # and the requests of `api.rs`
//! ```
//!
//! Both versions pass the same tests. Only `api.rs` has limits for the number of its threads and of the requests that
//! wait for one.

mod log;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tower_http::cors::{Any, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

type Database = r2d2::Pool<SqliteConnectionManager>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _log = log::Log::start("info", std::io::stdout());
    let token = std::env::var("API_TOKEN").context("API_TOKEN is not set")?;
    let database = Database::new(SqliteConnectionManager::file("notes.db"))?;
    let app = app(database, &token, PrometheusBuilder::new().install_recorder()?)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}

fn app(database: Database, token: &str, metrics: PrometheusHandle) -> anyhow::Result<Router> {
    // In WAL mode, readers and the writer do not block each other.
    database.get()?.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done BOOL NOT NULL)",
    )?;
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    let trace = TraceLayer::new_for_http().make_span_with(|request: &Request| {
        let id = request.headers().get(REQUEST_ID);
        tracing::info_span!("request", method = %request.method(), path = request.uri().path(), ?id)
    });
    Ok(Router::new()
        .route("/notes", get(list).post(create))
        .route("/notes/{id}", get(read).put(update).delete(remove))
        .route("/metrics", get(move || async move { metrics.render() }))
        .route_layer(middleware::from_fn_with_state(Arc::from(token), authorize))
        .route_layer(middleware::from_fn(count))
        // Outside of the authorization: a preflight has no token.
        .layer(CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers([AUTHORIZATION, CONTENT_TYPE]))
        .layer(trace)
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
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

/// Counts requests, and records how long they take.
async fn count(route: MatchedPath, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let response = next.run(request).await;
    let labels = [("route", route.as_str().to_owned()), ("status", response.status().as_str().to_owned())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_seconds", &labels).record(start.elapsed());
    response
}

/// Runs a query on one of tokio's blocking threads.
async fn blocking<T: Send + 'static>(
    database: Database,
    query: impl FnOnce(&Connection) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(move || query(&*database.get()?))
        .await
        .unwrap_or_else(|error| Err(ApiError::Internal(error.into())))
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

async fn list(State(database): State<Database>, Query(page): Query<Page>) -> Result<Json<Vec<Note>>, ApiError> {
    blocking(database, move |connection| {
        let mut statement = connection
            .prepare_cached("SELECT * FROM notes WHERE instr(title, ?1) ORDER BY id LIMIT min(?2, 100) OFFSET ?3")?;
        let notes = statement.query_map((page.search, page.limit, page.offset), Note::of_row)?;
        Ok(Json(notes.collect::<Result<_, _>>()?))
    })
    .await
}

async fn create(State(database): State<Database>, Json(draft): Json<Draft>) -> Result<impl IntoResponse, ApiError> {
    draft.check()?;
    let note = blocking(database, move |connection| {
        Ok(connection.query_row(
            "INSERT INTO notes (title, done) VALUES (?1, ?2) RETURNING *",
            (draft.title, draft.done),
            Note::of_row,
        )?)
    })
    .await?;
    Ok((StatusCode::CREATED, [(LOCATION, format!("/notes/{}", note.id))], Json(note)))
}

async fn read(State(database): State<Database>, Path(id): Path<i64>) -> Result<Json<Note>, ApiError> {
    blocking(database, move |connection| {
        let note = connection.query_row("SELECT * FROM notes WHERE id = ?1", [id], Note::of_row)?;
        Ok(Json(note))
    })
    .await
}

async fn update(
    State(database): State<Database>,
    Path(id): Path<i64>,
    Json(draft): Json<Draft>,
) -> Result<Json<Note>, ApiError> {
    draft.check()?;
    blocking(database, move |connection| {
        let note = connection.query_row(
            "UPDATE notes SET title = ?2, done = ?3 WHERE id = ?1 RETURNING *",
            (id, draft.title, draft.done),
            Note::of_row,
        )?;
        Ok(Json(note))
    })
    .await
}

async fn remove(State(database): State<Database>, Path(id): Path<i64>) -> Result<StatusCode, ApiError> {
    blocking(database, move |connection| match connection.execute("DELETE FROM notes WHERE id = ?1", [id])? {
        0 => Err(ApiError::NotFound),
        _ => Ok(StatusCode::NO_CONTENT),
    })
    .await
}

/// Why a request fails.
enum ApiError {
    Unauthorized,
    NotFound,
    Invalid(&'static str),
    Internal(anyhow::Error),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "a bearer token is required"),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such note"),
            Self::Invalid(problem) => (StatusCode::UNPROCESSABLE_ENTITY, problem),
            Self::Internal(error) => {
                tracing::error!("{error:#}");
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
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

/// The app of the tests of `api.rs`.
#[cfg(test)]
fn app_under_test(database: Database, metrics: PrometheusHandle) -> Router {
    app(database, "sesame", metrics).unwrap()
}

#[cfg(test)]
#[path = "api/tests.rs"]
mod tests;
