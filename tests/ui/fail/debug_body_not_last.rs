use axum::Json;
use axum::extract::Path;
use gateway::debug_handler;

#[debug_handler]
fn create(Json(_): Json<String>, Path(_): Path<u64>) -> &'static str {
    "ok"
}

fn main() {}
