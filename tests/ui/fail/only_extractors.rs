use axum::Json;
use axum::extract::Path;
use gateway::wsgi_app;

#[wsgi_app]
fn read(Path(id): Path<u64>, headers: axum::http::HeaderMap) -> Json<u64> {
    Json(id + headers.len() as u64)
}

fn main() {}
