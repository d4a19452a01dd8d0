use axum::extract::Path;
use gateway::debug_handler;

struct Database;

#[debug_handler]
fn read(_: Path<u64>, _: Database, _: Path<String>) -> &'static str {
    "ok"
}

fn main() {}
