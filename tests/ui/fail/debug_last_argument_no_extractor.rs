use axum::extract::Path;
use gateway::debug_handler;

struct Database;

#[debug_handler]
fn read(Path(_): Path<u64>, _: Database) -> &'static str {
    "ok"
}

fn main() {}
